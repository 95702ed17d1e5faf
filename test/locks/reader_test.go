//go:build system

package locks

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stated/stated/protocol/resp"
	"github.com/stated/stated/test/harness"
)

const (
	mark = 8 << 20 // store.wal_bytes in the tests of the log
	// over is what may come on top of the mark: one batch, and the quarter that the file of the log may be larger.
	over = 16<<20 + mark/4
)

// TestReader_PinsLog has another process hold a snapshot while much is written: that is not held up, the log grows, and
// the reader is named. When it leaves, the log is short again.
func TestReader_PinsLog(t *testing.T) {
	megabytes := 200
	if harness.Long() {
		megabytes = 2000
	}
	db := harness.File(t)
	d := harness.Start(t, db, "--set", fmt.Sprintf("store.wal_bytes=%d", mark))
	most := writeMuch(t, d, megabytes)
	t.Logf("%d MB without a reader: the log had at most %d MB", megabytes, most>>20)
	if most > mark+over {
		t.Errorf("without a reader the log had %d MB", most>>20)
	}
	harness.Eventually(t, "the log is short", func() bool { return d.Info(t).Number(t, "wal_bytes") <= mark+mark/4 })

	reader := outside(t, "read", db)
	reader.Line(t, "reading")
	most = writeMuch(t, d, megabytes)
	t.Logf("%d MB beside a reader: the log had %d MB", megabytes, most>>20)
	if most < int64(megabytes)<<19 {
		t.Errorf("the log has only %d MB: the reader did not pin it, and this test shows nothing", most>>20)
	}
	pid := fmt.Sprint(reader.Pid())
	harness.Eventually(t, "INFO names the reader", func() bool {
		return slices.Contains(strings.Split(d.Info(t)["wal_pinned_by"], ","), pid)
	})
	warning := d.Log(t, func(e harness.Entry) bool { return e.Is("warn", "reader") })
	if pids := fmt.Sprint(warning["pids"]); !strings.Contains(pids, pid) {
		t.Errorf("the log names %s, the reader is %s", pids, pid)
	}
	reader.CloseInput()
	reader.Line(t, "read")
	if code := reader.Wait(t); code != 0 {
		t.Errorf("the reader: %s", reader.Output())
	}
	left := time.Now()
	harness.Eventually(t, "the log is short again", func() bool {
		i := d.Info(t)
		return i.Number(t, "wal_bytes") <= mark+mark/4 && i["wal_pinned_by"] == ""
	})
	t.Logf("%v after the reader had left, the log was short again", time.Since(left).Round(time.Millisecond))
	d.Stop(t)
}

// writeMuch saves states of 1 MiB, and gives the largest size that the log had.
func writeMuch(t *testing.T, d *harness.Daemon, megabytes int) (most int64) {
	t.Helper()
	c := d.Client(t, resp.ClientOptions{})
	var longest time.Duration
	for i := range megabytes {
		// SQLite does not write a page that stays as it is.
		state := []byte(`"` + strings.Repeat(fmt.Sprintf("%08d", i), 1<<17) + `"`)
		begun := time.Now()
		if _, err := c.Save(harness.Guarded(t), fmt.Sprintf("large-%d", i%8), state); err != nil {
			t.Fatalf("after %d MB: %v", i, err)
		}
		longest = max(longest, time.Since(begun))
		size := d.Info(t).Number(t, "wal_bytes")
		most = max(most, size)
	}
	t.Logf("the longest save took %v", longest.Round(time.Millisecond))
	return most
}

// TestReader_Stop ends the daemon while another process is in the middle of reading: it is not held up by that, and the
// reader still sees what it saw.
func TestReader_Stop(t *testing.T) {
	ways{}.each(t, func(t *testing.T, db string, s service) {
		if _, err := s.Save(harness.Guarded(t), "first", []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		reader := outside(t, "read", db)
		reader.Line(t, "reading")
		c := startSavers(t, s)
		harness.Eventually(t, "much is saved", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.saves > 500 || t.Failed()
		})
		c.stop(t)
		begun := time.Now()
		s.stop() // a daemon has to end with success: within timeouts.shutdown
		t.Logf("it stopped within %v", time.Since(begun).Round(time.Millisecond))
		reader.CloseInput()
		reader.Line(t, "read")
		if code := reader.Wait(t); code != 0 {
			t.Errorf("the reader: %s", reader.Output())
		}
		c.verify(t, db)
	})
}
