package damage

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

// record is what was acknowledged for an agent.
type record struct {
	revision int64
	state    string
}

// history is a database as it lies on the disk, and all that was ever acknowledged in it.
type history struct {
	files    map[string][]byte // by what their names end in
	now      map[string]record
	gone     map[string]bool // ids that were deleted
	states   map[record]bool // with the id in front of the state
	revision int64
	pageSize int
}

// endings of the names of a database's files.
var endings = []string{"", "-wal", "-shm", ".owner"}

// kept is a history that is made when the first test asks for it.
type kept struct {
	killed bool
	once   sync.Once
	h      *history
}

// closed is a database that was closed; left is one whose daemon was killed: the last changes are in the log alone.
var closed, left = &kept{}, &kept{killed: true}

func historyOf(tb testing.TB, k *kept) *history {
	tb.Helper()
	k.once.Do(func() { k.h = made(tb, k.killed) })
	if k.h == nil {
		tb.Fatal("it could not be made")
	}
	return k.h
}

func made(tb testing.TB, killed bool) *history {
	tb.Helper()
	db := write(tb, nil)
	h := newHistory()
	d := harness.Start(tb, db)
	m := d.Client(tb, resp.ClientOptions{}).Methods
	for i := range 300 {
		h.save(tb, m, agentID(i), i%3*i*9)
	}
	d.Stop(tb)
	d = harness.Start(tb, db)
	m = d.Client(tb, resp.ClientOptions{}).Methods
	for i := range 60 {
		h.save(tb, m, agentID(i*7%310), i%5*900) // those from 300 on are new
	}
	for i := 5; i < 300; i += 60 {
		h.delete(tb, m, agentID(i))
	}
	h.save(tb, m, "the last one", 10)
	if killed {
		d.Kill()
	} else {
		d.Stop(tb)
	}
	for _, ending := range endings {
		if b, err := os.ReadFile(db + ending); err == nil {
			h.files[ending] = b
		}
	}
	return h
}

func newHistory() *history {
	return &history{files: map[string][]byte{}, now: map[string]record{}, gone: map[string]bool{}, states: map[record]bool{}, pageSize: 4096}
}

func agentID(i int) string { return fmt.Sprintf("agent-%04d", i) }

func (h *history) save(tb testing.TB, m protocol.Methods, id string, size int) {
	tb.Helper()
	state := fmt.Sprintf(`{"agent":%q,"n":%d,"pad":%q}`, id, h.revision, strings.Repeat("x", size))
	reply, err := m.Save(guarded(tb), id, []byte(state))
	if err != nil {
		tb.Fatal(err)
	}
	h.saved(id, record{reply.Revision, state})
}

func (h *history) saved(id string, r record) {
	h.revision = max(h.revision, r.revision)
	h.now[id] = r
	delete(h.gone, id)
	h.states[record{r.revision, id + r.state}] = true
}

func (h *history) delete(tb testing.TB, m protocol.Methods, id string) {
	tb.Helper()
	reply, err := m.Delete(guarded(tb), id)
	if err != nil {
		tb.Fatal(err)
	}
	delete(h.now, id)
	h.gone[id] = true
	h.revision = reply.Revision
}

// copyFiles gives the files, to be changed.
func (h *history) copyFiles() map[string][]byte {
	files := maps.Clone(h.files)
	for ending, b := range files {
		files[ending] = bytes.Clone(b)
	}
	return files
}

// memoryDir is a folder in which syncing takes no time, where there is one: hundreds of files are made here.
func memoryDir() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// write puts files into a folder of their own, and gives the database's name.
func write(tb testing.TB, files map[string][]byte) string {
	tb.Helper()
	dir, err := os.MkdirTemp(memoryDir(), "stated-damage-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	db := filepath.Join(dir, "agents.db")
	for ending, b := range files {
		if err := os.WriteFile(db+ending, b, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return db
}

// read gives the files as they are now.
func read(tb testing.TB, db string) map[string][]byte {
	tb.Helper()
	files := map[string][]byte{}
	for _, ending := range endings {
		b, err := os.ReadFile(db + ending)
		if err == nil {
			files[ending] = b
		} else if !os.IsNotExist(err) {
			tb.Fatal(err)
		}
	}
	return files
}
