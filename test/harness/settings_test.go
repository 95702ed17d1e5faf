package harness_test

import (
	"testing"

	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// TestSettings: a daemon and a store in this process use what the environment says, and the same.
func TestSettings(t *testing.T) {
	for name, env := range map[string][3]string{
		"nothing":       {},
		"plain commits": {"", "plain", ""},
		"plain writes":  {"plain", "", ""},
		"nothing kept":  {"", "", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("STATED_STORE__WAL_WRITES", env[0])
			t.Setenv("STATED_STORE__COMMITS", env[1])
			t.Setenv("STATED_STORE__HOT_BYTES", env[2])
			o := harness.Settings(store.Options{})
			if o.WALWrites != store.WALWrites(env[0]) || o.Commits != store.Commits(env[1]) || (o.HotBytes < 0) != (env[2] == "0") {
				t.Errorf("the options are %q, %q, %d", o.WALWrites, o.Commits, o.HotBytes)
			}
			s, err := store.Open(t.Context(), harness.File(t), o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close() //nolint:errcheck // nothing was written
			own, info := s.Info(), harness.Start(t, harness.File(t)).Info(t)
			if info["wal_writes"] != string(own.WALWrites) || info["commits"] != string(own.Commits) {
				t.Errorf("the daemon has %s, %s, the library %s, %s", info["wal_writes"], info["commits"], own.WALWrites, own.Commits)
			}
			if env[0] == "plain" && own.WALWrites != store.WALPlain || env[0]+env[1] != "" && own.Commits != store.CommitsPlain {
				t.Errorf("in use are %s, %s", own.WALWrites, own.Commits)
			}
		})
	}
}
