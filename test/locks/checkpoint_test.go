//go:build system

package locks

import (
	"testing"
	"time"

	"github.com/stated/stated/test/harness"
)

// checkpointReport is what a program tells that makes checkpoints beside us.
type checkpointReport struct {
	Done, Busy, Writes int
	Errors             []string
}

// TestCheckpointer has another program make checkpoints in a loop, of the kinds that keep writers out, and as Litestream
// does: nobody is told so, and nothing is lost.
func TestCheckpointer(t *testing.T) {
	length := 3 * time.Second
	if harness.Long() {
		length = time.Minute
	}
	cases := map[string]func(db string) []string{
		"TRUNCATE":   func(db string) []string { return []string{"checkpoint", db, "TRUNCATE"} },
		"RESTART":    func(db string) []string { return []string{"checkpoint", db, "RESTART"} },
		"litestream": func(db string) []string { return []string{"litestream", db} },
	}
	for name, args := range cases {
		t.Run(name, func(t *testing.T) {
			ways{}.each(t, func(t *testing.T, db string, s service) {
				other := outside(t, args(db)...)
				c := startSavers(t, s)
				<-time.After(length) // this long they are beside each other
				c.stop(t)
				other.CloseInput()
				r := report[checkpointReport](t, other)
				t.Logf("beside them: %d checkpoints, %d more were kept from ending, %d writes", r.Done, r.Busy, r.Writes)
				if r.Done == 0 || len(r.Errors) > 0 {
					t.Errorf("%d checkpoints were made; errors: %q", r.Done, r.Errors)
				}
				s.stop()
				c.verify(t, db)
			})
		})
	}
}
