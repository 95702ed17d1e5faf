package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/store"
	"github.com/stated/stated/test/harness"
)

// largeState gives a state of exactly so many bytes. It has what a careless re-encoding would change: blanks, escapes,
// characters of several bytes, numbers that no float holds, and the same key twice.
func largeState(size int, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // repeatable on purpose
	pieces := []string{`\u00e9`, "é", "日本", " ", "<&>", `\/`, `\"`, "\u2028", "x", "0123456789", "🙂"}
	var b bytes.Buffer
	b.WriteString(`{ "n" :1.0e+2, "n":  123456789012345678901234567890,"text":"`)
	const end = "\"}\r\n"
	for b.Len() < size-len(end)-32 {
		b.WriteString(pieces[random.IntN(len(pieces))])
	}
	b.WriteString(strings.Repeat("z", size-len(end)-b.Len()))
	b.WriteString(end)
	return b.Bytes()
}

// ways are the ways to a daemon's agents.
type ways struct {
	addr   string
	client *resp.Client
	raw    *rawConn
}

func (w ways) cli(t *testing.T, stdin []byte, args ...string) string {
	t.Helper()
	r := harness.Run(t, harness.Command{Args: append(args, "--addr", w.addr), Stdin: bytes.NewReader(stdin)})
	if r.Code != 0 {
		t.Fatalf("stated %s: exit code %d: %s", args[0], r.Code, r.Stderr)
	}
	return r.Stdout
}

// in gives the ways to save a state.
func (w ways) in() map[string]func(t *testing.T, id string, state []byte) {
	return map[string]func(t *testing.T, id string, state []byte){
		"client": func(t *testing.T, id string, state []byte) {
			if _, err := w.client.Save(guarded(t), id, state); err != nil {
				t.Fatal(err)
			}
		},
		"STATE.SAVE": func(t *testing.T, id string, state []byte) {
			if list, ok := w.raw.do("STATE.SAVE", id, string(state)).([]any); !ok || len(list) != 2 {
				t.Fatal("no revision and time")
			}
		},
		"SET": func(t *testing.T, id string, state []byte) { wantReply(t, w.raw.do("SET", id, string(state)), "OK") },
		"MULTI": func(t *testing.T, id string, state []byte) {
			w.raw.do("MULTI")
			wantReply(t, w.raw.do("SET", id, string(state)), "QUEUED")
			wantReply(t, w.raw.do("EXEC"), []any{"OK"})
		},
		"CLI, standard input": func(t *testing.T, id string, state []byte) { w.cli(t, state, "save", id) },
		"CLI, file": func(t *testing.T, id string, state []byte) {
			file := filepath.Join(t.TempDir(), "state.json")
			if err := os.WriteFile(file, state, 0o600); err != nil {
				t.Fatal(err)
			}
			w.cli(t, nil, "save", id, file)
		},
	}
}

// out gives the ways to load one.
func (w ways) out() map[string]func(t *testing.T, id string) string {
	return map[string]func(t *testing.T, id string) string{
		"client": func(t *testing.T, id string) string {
			reply, err := w.client.Load(guarded(t), id)
			if err != nil {
				t.Fatal(err)
			}
			return string(reply.State)
		},
		"STATE.LOAD": func(t *testing.T, id string) string { return stateOf(t, w.raw.do("STATE.LOAD", id)) },
		"GET":        func(_ *testing.T, id string) string { return fmt.Sprint(w.raw.do("GET", id)) },
		"MULTI": func(t *testing.T, id string) string {
			w.raw.do("MULTI")
			w.raw.do("GET", id)
			list, ok := w.raw.do("EXEC").([]any)
			if !ok || len(list) != 1 {
				t.Fatal("EXEC has no reply")
			}
			return fmt.Sprint(list[0])
		},
		"CLI": func(t *testing.T, id string) string { return w.cli(t, nil, "load", id) },
	}
}

// TestLargestState brings a state of the largest size in by every way, and gets it out by every way, byte for byte.
func TestLargestState(t *testing.T) {
	db := harness.File(t)
	d := harness.Start(t, db)
	w := ways{d.Addr, d.Client(t, resp.ClientOptions{}), dialRaw(t, d.Addr)}
	states, seed := map[string][]byte{}, uint64(0)
	for way, save := range w.in() {
		seed++
		state := largeState(protocol.MaxStateBytes, seed)
		states[way] = state
		t.Run("in by "+way, func(t *testing.T) {
			save(t, "in by "+way, state)
			for by, load := range w.out() {
				if got := load(t, "in by "+way); got != string(state) {
					t.Errorf("out by %s: %d bytes that are not those which went in", by, len(got))
				}
			}
		})
	}
	d.Stop(t)
	largestInFile(t, db, states)
}

// largestInFile reads the same states without a daemon.
func largestInFile(t *testing.T, db string, states map[string][]byte) {
	t.Helper()
	a, stop := library(t, db, store.Options{})
	defer stop()
	for way, state := range states {
		reply, err := a.Load(guarded(t), "in by "+way)
		if err != nil || !bytes.Equal(reply.State, state) {
			t.Errorf("the library has %d other bytes of what went in by %s: %v", len(reply.State), way, err)
		}
		if r := harness.CLI(t, "load", "in by "+way, "--db", db); r.Stdout != string(state) {
			t.Errorf("load --db has %d other bytes of what went in by %s: %s", len(r.Stdout), way, r.Stderr)
		}
	}
	state := largeState(protocol.MaxStateBytes, 100)
	if _, err := a.Save(guarded(t), "in by library", state); err != nil {
		t.Fatal(err)
	}
	if r := harness.CLI(t, "load", "in by library", "--db", db); r.Stdout != string(state) {
		t.Errorf("load --db has %d other bytes of what went in by the library: %s", len(r.Stdout), r.Stderr)
	}
	_, err := a.Save(guarded(t), "too large", largeState(protocol.MaxStateBytes+1, 101))
	if tooLarge, _ := protocol.AsError(err).Fact(protocol.FactTooLarge); protocol.CodeOf(err) != protocol.CodeInvalid || tooLarge != "1" {
		t.Errorf("1 byte more: %v", err)
	}
	stop()
	save := harness.Command{Args: []string{"save", "in by file", "--db", db}, Stdin: bytes.NewReader(state)}
	if r := harness.Run(t, save); r.Code != 0 {
		t.Errorf("save --db: %+v", r)
	}
	if r := harness.CLI(t, "load", "in by file", "--db", db); r.Stdout != string(state) {
		t.Errorf("load --db has %d other bytes of what went in by save --db: %s", len(r.Stdout), r.Stderr)
	}
}

func wantReply(t *testing.T, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("the reply is %.200v, want %v", got, want)
	}
}

// stateOf takes the state out of a record.
func stateOf(t *testing.T, reply any) string {
	t.Helper()
	list, ok := reply.([]any)
	if !ok || len(list) != 3 {
		t.Fatalf("the reply is no record: %.200v", reply)
	}
	return fmt.Sprint(list[2])
}
