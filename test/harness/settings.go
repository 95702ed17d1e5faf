package harness

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/stated/stated/store"
)

// The settings that trade simplicity for speed. What a test is started with holds for its daemons, and for the stores that
// it opens with Settings.
const (
	envWALWrites = "STATED_STORE__WAL_WRITES"
	envCommits   = "STATED_STORE__COMMITS"
	envHotBytes  = "STATED_STORE__HOT_BYTES" // in bytes, without a unit
)

// Settings applies the test's environment to the options of a store in this process, as a daemon does with its own.
// It panics when a number is none.
func Settings(o store.Options) store.Options {
	if v := os.Getenv(envWALWrites); v != "" {
		o.WALWrites = store.WALWrites(v)
	}
	if v := os.Getenv(envCommits); v != "" {
		o.Commits = store.Commits(v)
	}
	if v := os.Getenv(envHotBytes); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			panic(envHotBytes + ": " + err.Error())
		}
		if o.HotBytes = n; n == 0 {
			o.HotBytes = -1 // 0 is the default there
		}
	}
	return o
}

// passed reports whether an entry of the test's environment is one for its children too. An empty setting is none.
func passed(entry string) bool {
	name, value, _ := strings.Cut(entry, "=")
	own := value != "" && slices.Contains([]string{envWALWrites, envCommits, envHotBytes}, name)
	return own || !strings.HasPrefix(name, "STATED_")
}
