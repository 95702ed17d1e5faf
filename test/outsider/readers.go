package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"modernc.org/sqlite"
)

// read holds a snapshot of the file until standard input ends, and sees the same at its end as at its beginning.
func read(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	const sum = "SELECT count(*) || ' ' || coalesce(sum(length(state_json)), 0) FROM agent_state"
	var first, last string
	if err := tx.QueryRowContext(ctx, sum).Scan(&first); err != nil {
		return err
	}
	fmt.Println("reading")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, sum).Scan(&last); err != nil {
		return err
	}
	if first != last {
		return fmt.Errorf("the snapshot held %s, and later %s", first, last)
	}
	fmt.Println("read")
	return nil
}

// checkpoints is what a program tells that makes checkpoints beside others.
type checkpoints struct {
	Done   int      `json:"done"`   // those that reached the end of the log
	Busy   int      `json:"busy"`   // those that others kept from it
	Writes int      `json:"writes"` // of its own
	Errors []string `json:"errors"`
}

func (c *checkpoints) make(ctx context.Context, db *sql.DB, mode string) {
	var busy, log, copied int
	err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &log, &copied)
	c.note(err)
	switch {
	case err != nil:
	case busy != 0:
		c.Busy++
	default:
		c.Done++
	}
}

// note counts a lock as one of the things that happen.
func (c *checkpoints) note(err error) {
	var e *sqlite.Error
	switch {
	case err == nil:
	case errors.As(err, &e) && e.Code()&0xff == 5: // SQLITE_BUSY
		c.Busy++
	default:
		c.Errors = append(c.Errors, err.Error())
	}
}

// checkpoint makes one checkpoint after another until standard input ends.
func checkpoint(ctx context.Context, db *sql.DB, mode string) error {
	c := &checkpoints{Errors: []string{}}
	for done := inputEnd(); !ended(done); {
		c.make(ctx, db, mode)
	}
	return json.NewEncoder(os.Stdout).Encode(c)
}

// litestream does what Litestream does beside an application (https://litestream.io/how-it-works): it keeps a read
// transaction open, so that nobody else begins the log anew, and now and then leaves it, makes a checkpoint of its own,
// and writes into a table of its own so that the log begins anew while it knows of it.
func litestream(ctx context.Context, db *sql.DB) error {
	c := &checkpoints{Errors: []string{}}
	for _, statement := range []string{
		"PRAGMA wal_autocheckpoint = 0",
		"CREATE TABLE IF NOT EXISTS _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)",
		"CREATE TABLE IF NOT EXISTS _litestream_lock (id INTEGER)",
	} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	for n, done := 0, inputEnd(); !ended(done); n++ {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		var seq int
		c.note(tx.QueryRowContext(ctx, "SELECT count(*) FROM _litestream_seq").Scan(&seq))
		select {
		case <-done:
		case <-time.After(50 * time.Millisecond): // in which it copies the log
		}
		c.note(tx.Rollback())
		mode := "PASSIVE"
		if n%4 == 3 {
			mode = "RESTART"
		}
		c.make(ctx, db, mode)
		_, err = db.ExecContext(ctx, "INSERT INTO _litestream_seq (id, seq) VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET seq = seq + 1")
		c.note(err)
		if err == nil {
			c.Writes++
		}
	}
	return json.NewEncoder(os.Stdout).Encode(c)
}

// inputEnd gives a channel that is closed when standard input ends.
func inputEnd() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // however it ends
		close(done)
	}()
	return done
}

func ended(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
