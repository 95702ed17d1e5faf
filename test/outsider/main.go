// Command outsider is another program that shares the file: it writes with database/sql, by the statements of the
// project that the table comes from, and knows nothing of stated. Tests run several of them as processes of their own.
//
//	outsider create FILE                  make the table as that project does
//	outsider save FILE NAME COUNT         COUNT writes as fast as they go; a line of JSON tells of them
//	outsider hold FILE                    hold the write lock until standard input ends
//	outsider open FILE                    read once, and keep the file open until standard input ends
//	outsider read FILE                    hold a snapshot until standard input ends
//	outsider checkpoint FILE MODE         make checkpoints until standard input ends; a line of JSON tells of them
//	outsider litestream FILE              the same in the way of Litestream
//	outsider exec FILE SQL [ARG...]       one statement; prints the number of rows changed
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	"modernc.org/sqlite"
)

const (
	createSQL = `CREATE TABLE IF NOT EXISTS agent_state (
		agent_id TEXT PRIMARY KEY,
		state_json TEXT NOT NULL,
		updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
	)`
	saveSQL   = "INSERT OR REPLACE INTO agent_state (agent_id, state_json, updated_at) VALUES (?, ?, CURRENT_TIMESTAMP)"
	loadSQL   = "SELECT state_json FROM agent_state WHERE agent_id = ?"
	deleteSQL = "DELETE FROM agent_state WHERE agent_id = ?"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "outsider:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) < 2 {
		return errors.New("usage: outsider create|save|hold|open|read|checkpoint|litestream|exec FILE and more")
	}
	query := url.Values{"_pragma": {"busy_timeout(5000)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: args[1], RawQuery: query.Encode()}).String())
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	switch rest := args[2:]; {
	case args[0] == "create":
		_, err = db.ExecContext(ctx, createSQL)
		return err
	case args[0] == "save" && len(rest) == 2:
		count, err := strconv.Atoi(rest[1])
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(save(ctx, db, rest[0], count))
	case args[0] == "open":
		var n int
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM agent_state").Scan(&n); err != nil {
			return err
		}
		fmt.Println("opened")
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	case args[0] == "hold":
		return hold(ctx, db)
	case args[0] == "read":
		return read(ctx, db)
	case args[0] == "checkpoint" && len(rest) == 1:
		return checkpoint(ctx, db, rest[0])
	case args[0] == "litestream":
		return litestream(ctx, db)
	case args[0] == "exec" && len(rest) > 0:
		return execute(ctx, db, rest[0], rest[1:])
	}
	return fmt.Errorf("unknown command %q", args)
}

// report is what save tells. Its Python twin tells the same.
type report struct {
	Writes     int            `json:"writes"`
	Increments int            `json:"increments"` // of the counters that others increment too
	Locked     int            `json:"locked"`
	Errors     []string       `json:"errors"`
	Seconds    float64        `json:"seconds"`
	LongestMS  float64        `json:"longest_ms"`
	LongestAt  int            `json:"longest_at"` // which write that was
	Last       map[string]int `json:"last"`       // what each agent of its own holds at the end
}

// save writes agents of its own, deletes some of them and makes them again, reads them back, and increments shared
// counters in transactions.
func save(ctx context.Context, db *sql.DB, name string, count int) *report {
	r := &report{Last: map[string]int{}, Errors: []string{}}
	begun := time.Now()
	for i := range count {
		start := time.Now()
		var err error
		switch id := fmt.Sprintf("%s-%d", name, i%20); {
		case i%4 == 3:
			err = increment(ctx, db, fmt.Sprintf("counter-%d", i%5))
			if err == nil {
				r.Increments++
			}
		case i%10 == 9:
			if _, err = db.ExecContext(ctx, deleteSQL, id); err == nil {
				err = write(ctx, db, r, id, i)
			}
		default:
			err = write(ctx, db, r, id, i)
		}
		if ms := float64(time.Since(start).Microseconds()) / 1000; ms > r.LongestMS {
			r.LongestMS, r.LongestAt = ms, i
		}
		r.note(err)
	}
	r.Seconds = time.Since(begun).Seconds()
	return r
}

func (r *report) note(err error) {
	var e *sqlite.Error
	switch {
	case err == nil:
	case errors.As(err, &e) && e.Code()&0xff == 5: // SQLITE_BUSY
		r.Locked++
	default:
		r.Errors = append(r.Errors, err.Error())
	}
}

// write saves one agent and reads it back: nobody else writes it.
func write(ctx context.Context, db *sql.DB, r *report, id string, seq int) error {
	state := fmt.Sprintf(`{"seq": %d}`, seq)
	if _, err := db.ExecContext(ctx, saveSQL, id, state); err != nil {
		return err
	}
	r.Writes++
	r.Last[id] = seq
	var got string
	if err := db.QueryRowContext(ctx, loadSQL, id).Scan(&got); err != nil {
		return err
	}
	if got != state {
		return fmt.Errorf("%s holds %s after saving %s", id, got, state)
	}
	return nil
}

// increment adds 1 to the state of an agent, under the write lock.
func increment(ctx context.Context, db *sql.DB, id string) error {
	if _, err := db.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := add(ctx, db, id)
	if err == nil {
		_, err = db.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		_, _ = db.ExecContext(ctx, "ROLLBACK") // the first error counts
	}
	return err
}

func add(ctx context.Context, db *sql.DB, id string) error {
	n := 0
	var text string
	err := db.QueryRowContext(ctx, loadSQL, id).Scan(&text)
	if err == nil {
		n, err = strconv.Atoi(text)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	_, err = db.ExecContext(ctx, saveSQL, id, strconv.Itoa(n+1))
	return err
}

func hold(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	fmt.Println("held")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "ROLLBACK"); err != nil {
		return err
	}
	fmt.Println("released")
	return nil
}

func execute(ctx context.Context, db *sql.DB, statement string, args []string) error {
	values := make([]any, len(args))
	for i, a := range args {
		values[i] = a
	}
	result, err := db.ExecContext(ctx, statement, values...)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	fmt.Println(n)
	return err
}
