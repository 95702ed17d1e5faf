package store

import (
	"context"
	"time"
)

// askEvery is how often the writer asks for the lock while another process holds it.
const askEvery = time.Millisecond

// await begins a transaction as soon as the lock is free, within the time of one attempt. SQLite would ask by itself, but
// soon at intervals of 100 ms only (sqliteDefaultBusyCallback): beside a program that takes the lock again within
// microseconds, it practically never finds it free.
func (s *Store) await(ctx context.Context) error {
	for end := time.Now().Add(s.opts.LockTimeout); ; {
		err := s.lock(ctx)
		if !isLocked(err) || s.w == nil || !time.Now().Before(end) {
			return err
		}
		if err := sleep(ctx, askEvery); err != nil {
			return err
		}
	}
}
