package store

// This file gives the space of deleted agents back to the file system. That needs a file with incremental vacuum, as
// stated makes them; in others, SQLite uses the space for new agents (https://www.sqlite.org/pragma.html#pragma_auto_vacuum).

const (
	// vacuumStep is how many pages one transaction gives back: short enough that no caller notices it.
	vacuumStep = 128
	// vacuumFrom is the least number of free pages that are worth it.
	vacuumFrom = 256
	// incrementalVacuum is what PRAGMA auto_vacuum says of a file that allows it.
	incrementalVacuum = int64(2)
)

// vacuum gives some free pages back, when a quarter of the file is free, until it is an eighth: what is left is for the
// agents to come. It reports whether there is more to do. A lock that somebody holds ends it for now.
func (s *Store) vacuum() (more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w == nil || !s.w.vacuums || s.health.refusal() != nil || s.identity.check() != nil {
		return false, nil
	}
	free, err := s.w.conn.number("PRAGMA freelist_count")
	if err != nil {
		return false, err
	}
	total, err := s.w.conn.number("PRAGMA page_count")
	if err != nil {
		return false, err
	}
	part := int64(4)
	if s.vacuuming {
		part = 8
	}
	if free < max(vacuumFrom, total/part) {
		done := s.vacuuming
		s.vacuuming = false
		if done { // the file is cut by the checkpoint
			s.wal.wanted.Store(true)
			s.nudge()
		}
		return false, nil
	}
	s.vacuuming = true
	err = s.vacuumStep()
	if isLocked(err) {
		return false, nil
	}
	if err != nil {
		return false, s.judge(err)
	}
	s.grown(s.w.conn.PagesWritten())
	return true, nil
}

func (s *Store) vacuumStep() error {
	if _, err := s.w.beginImmediate.exec(background); err != nil {
		return err
	}
	_, err := s.w.vacuum.exec(background)
	if err == nil {
		_, err = s.w.commit.exec(background)
	}
	if err != nil {
		return s.rollback(err)
	}
	return nil
}
