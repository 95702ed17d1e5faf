package harness

import (
	"flag"
	"math/rand/v2"
	"testing"
)

var (
	long = flag.Bool("long", false, "run the long form of each test, for minutes or hours")
	seed = flag.Uint64("seed", 0, "repeat a run with its seed; 0 is a new one")
)

// Long reports whether the long form of a test was asked for: go test ./test/... -long.
func Long() bool { return *long }

// Random gives the test's source of random numbers, and logs its seed; -seed repeats a run.
func Random(tb testing.TB) *rand.Rand {
	tb.Helper()
	n := *seed
	if n == 0 {
		n = rand.Uint64()
	}
	tb.Logf("seed: -seed %d", n)
	return rand.New(rand.NewPCG(n, 0)) //nolint:gosec // repeatable on purpose
}
