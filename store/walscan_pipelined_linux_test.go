package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// leftPipelined gives the files of a database with so many commits in its log, of agents 1, 2, …, by a writer that pipelines.
func leftPipelined(t *testing.T, commits int) (files map[string][]byte) {
	t.Helper()
	path := tempDB(t)
	s := mustOpenUnchecked(t, path, durable())
	mustApply(t, s, save("base", "0"))
	mustClose(t, s)
	s = mustOpenUnchecked(t, path, durable())
	for i := range commits {
		mustApply(t, s, save(fmt.Sprint(i+1), "1"))
	}
	files = map[string][]byte{}
	for _, ending := range []string{"", "-wal", "-shm", ".owner"} {
		files[ending] = must(os.ReadFile(path + ending))
	}
	return files
}

// TestOpen_TornPipeline: where commits are pipelined a power cut may leave some of them whole behind one that is torn, and an
// index that counts them. That is no damage, but only as many as there can be, and only where commits were pipelined.
func TestOpen_TornPipeline(t *testing.T) {
	const all = 6
	intact := leftPipelined(t, all)
	ends := commits(intact["-wal"])
	if len(ends) != all {
		t.Fatalf("the log has commits at %v", ends)
	}
	for _, c := range []struct {
		name      string
		behind    int // whole commits behind the one that is torn; all of them where none is
		cut       bool
		index     time.Time // when it was written; zero is no index
		pipelined bool
		lost      bool
	}{
		{"the last, pipelined", 0, false, time.Time{}, true, false},
		{"one behind, pipelined", 1, false, time.Time{}, true, false},
		{"two behind, pipelined", 2, false, time.Time{}, true, false},
		{"three behind, pipelined", 3, false, time.Time{}, true, true},
		{"the last, plain", 0, false, time.Time{}, false, false},
		{"one behind, plain", 1, false, time.Time{}, false, true},
		{"an index from before the start, pipelined", 2, false, time.Unix(1_000_000_000, 0), true, false},
		{"an index from before the start and three behind, pipelined", 3, false, time.Unix(1_000_000_000, 0), true, true},
		{"an index from now, pipelined", 0, false, time.Now(), true, true},
		{"cut, an index from before the start, pipelined", 2, true, time.Unix(1_000_000_000, 0), true, false},
		{"cut, an index from before the start, plain", 2, true, time.Unix(1_000_000_000, 0), false, true},
		{"cut, an index from now, pipelined", 2, true, time.Now(), true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := maps.Clone(intact)
			torn := ends[all-1-c.behind]
			if log := bytes.Clone(files["-wal"]); c.cut {
				files["-wal"] = log[:32+torn*frame+100]
			} else {
				log[32+torn*frame+1000] ^= 4
				files["-wal"] = log
			}
			if c.index.IsZero() {
				delete(files, "-shm")
			}
			if !c.pipelined {
				files[".owner"] = []byte(strings.Replace(string(files[".owner"]), "commits are pipelined\n", "", 1))
			}
			path := tempDB(t)
			for ending, b := range files {
				if err := os.WriteFile(path+ending, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chtimes(path+"-shm", c.index, c.index); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			s, err := store.Open(t.Context(), path, durable())
			if c.lost {
				wantCode(t, err, protocol.CodeCorrupt)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer mustClose(t, s)
			n, err := read(t, s, must(protocol.Count("")))
			if want := int64(1 + all - 1 - c.behind); err != nil || n.Count != want {
				t.Errorf("%d agents are left, want %d; %v", n.Count, want, err)
			}
		})
	}
}

// TestOwner_Pipelined: whether commits are pipelined is noted before the first of them is made, and after the last.
func TestOwner_Pipelined(t *testing.T) {
	path := tempDB(t)
	for _, c := range []struct {
		commits store.Commits
		noted   bool
	}{{store.CommitsPipelined, true}, {store.CommitsPlain, false}, {"", true}, {"", true}} {
		o := durable()
		o.Commits = c.commits
		s := mustOpen(t, path, o)
		text := string(must(os.ReadFile(path + ".owner")))
		if got := strings.HasSuffix(text, "\n"+s.Info().StoreID+"\ncommits are pipelined\n"); got != c.noted {
			t.Errorf("commits %q: the owner's file says %q", c.commits, text)
		}
		mustClose(t, s)
		if again := string(must(os.ReadFile(path + ".owner"))); again != text {
			t.Errorf("closed: the owner's file says %q", again)
		}
	}
	o := durable()
	o.Commits = "often"
	_, err := store.Open(t.Context(), path, o)
	wantCode(t, err, protocol.CodeInvalid)
}
