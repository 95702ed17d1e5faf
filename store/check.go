package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/stated/stated/protocol"
)

// Report is what [Check] found.
type Report struct {
	Path          string   `json:"path"`
	StoreID       string   `json:"store_id"`       // empty for a file that was not adopted
	SchemaVersion int64    `json:"schema_version"` // 0 for a file that was not adopted
	Revision      int64    `json:"revision"`       // the counter
	Agents        int64    `json:"agents"`         // rows in all
	OddIDs        int64    `json:"odd_ids"`        // rows whose id cannot be used through stated; they are not damage
	Checked       int64    `json:"checked"`        // rows whose checksum was compared, in a deep check
	Problems      []string `json:"problems"`       // what is damaged; empty for a sound file
}

// mostProblems bounds a report on a file that is damaged all over.
const mostProblems = 100

// Check looks a database over while others read and write: SQLite's integrity check, the schema, the ids and the
// counter; deep also compares every row with its checksum. It changes nothing. Damage is in the report; an error
// means that the check could not be done: CORRUPT, that the file is too damaged to be opened, or INVALID, that it is not
// one of ours.
func Check(ctx context.Context, path string, o Options, deep bool) (_ *Report, err error) {
	s, err := OpenReadOnly(ctx, path, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	r := <-s.readers
	defer func() { s.readers <- r }()
	report := &Report{Path: s.path, Problems: []string{}}
	err = s.opts.Retry.do(ctx, &s.log, &s.stats.locks, "check", func() error {
		*report = Report{Path: s.path, Problems: []string{}}
		return s.check(ctx, r, report, deep)
	})
	if err := translate(err); err != nil {
		if protocol.CodeOf(err) != protocol.CodeCorrupt {
			return nil, err
		}
		report.add("%s", err)
	}
	return report, nil
}

func (p *Report) add(format string, args ...any) {
	if len(p.Problems) < mostProblems {
		p.Problems = append(p.Problems, fmt.Sprintf(format, args...))
	}
}

// check reads everything from one snapshot.
func (s *Store) check(ctx context.Context, r *reader, p *Report, deep bool) (err error) {
	if _, err := r.begin.exec(ctx); err != nil {
		return err
	}
	defer func() {
		if _, end := r.end.exec(background); end != nil && !isNoTransaction(end) {
			err = errors.Join(err, end)
		}
	}()
	if s.adopted {
		row, ok, err := r.conn.row(ctx, "SELECT store_id, schema_version, revision FROM stated_meta WHERE id = 1")
		if err != nil {
			return err
		}
		if ok {
			p.StoreID, _ = row[0].(string)
			p.SchemaVersion, _ = row[1].(int64)
			p.Revision, _ = row[2].(int64)
		}
		if p.Revision < 0 || p.Revision > maxForeignRevision {
			p.add("the revision counter is %d", p.Revision)
		}
	}
	s.opts.Progress.report(Step{Name: "integrity"})
	if err := integrity(ctx, r.conn, p); err != nil {
		return err
	}
	return s.checkRows(ctx, r.conn, p, deep)
}

// integrity runs SQLite's own check. The quicker quick_check would miss an agent that is in the table and not in the
// index: a load would not find it.
func integrity(ctx context.Context, c *conn, p *Report) error {
	st, err := c.Prepare(fmt.Sprintf("PRAGMA integrity_check(%d)", mostProblems))
	if err != nil {
		return err
	}
	defer st.Close()
	return st.Each(ctx, func(row []any) (bool, error) {
		if row[0] != "ok" {
			p.add("integrity: %v", row[0])
		}
		return true, nil
	})
}

func (s *Store) checkRows(ctx context.Context, c *conn, p *Report, deep bool) error {
	revision, checksum, state := "NULL", "NULL", "NULL"
	if s.adopted {
		revision = "revision"
	}
	if s.adopted && deep {
		checksum, state = "checksum", "CAST(state_json AS BLOB)"
	}
	total, err := s.rowsToReport(ctx, c)
	if err != nil {
		return err
	}
	st, err := c.Prepare("SELECT agent_id, " + revision + ", " + checksum + ", " + state + " FROM agent_state")
	if err != nil {
		return err
	}
	defer st.Close()
	return st.Each(ctx, func(row []any) (bool, error) {
		if p.Agents%reportEveryRows == 0 {
			s.opts.Progress.report(Step{Name: "rows", Done: p.Agents, Total: total})
		}
		p.Agents++
		id, isText := row[0].(string)
		if !isText || protocol.ValidateID(id) != nil {
			p.OddIDs++
		}
		if n, isInt := row[1].(int64); row[1] != nil && (!isInt || n < 1 || n > p.Revision) {
			p.add("agent %q has revision %v, the counter is at %d", id, row[1], p.Revision)
		}
		if row[2] == nil {
			return true, nil
		}
		p.Checked++
		stateBytes, _ := row[3].([]byte)
		if row[2] != protocol.Checksum(protocol.Digest(id, stateBytes), revisionOf(row[1])) {
			p.add("the row of agent %q does not fit its checksum", id)
		}
		return true, nil
	})
}

// rowsToReport counts the rows if somebody wants to know how many are still to come.
func (s *Store) rowsToReport(ctx context.Context, c *conn) (int64, error) {
	if s.opts.Progress == nil {
		return 0, nil
	}
	row, _, err := c.row(ctx, "SELECT count(*) FROM agent_state")
	if err != nil {
		return 0, err
	}
	n, _ := row[0].(int64)
	return n, nil
}
