//go:build system

package fault

import (
	"path/filepath"
	"testing"

	"github.com/stated/stated/test/harness"
)

// TestPower cuts the power at many moments of a recorded run. Whatever the disk has made of the writes that were not
// synced, every acknowledged change is there, transactions are whole, and no revision is used again.
func TestPower(t *testing.T) {
	random := harness.Random(t)
	r := record(t, "full")
	cuts := 80
	if harness.Long() {
		cuts = 2000
	}
	chosen := r.cuts(random, cuts)
	images, wrong := r.replay(t, chosen, random, nil, Nothing, All, Random, Random)
	t.Logf("%d moments, %d images, %d wrong", len(chosen), images, len(wrong))
	for _, err := range wrong {
		t.Error(err)
	}
}

// TestPower_Checker: the images do show a sync that is missing. A disk that lies about one of them loses what was
// acknowledged, and so does a run that does not sync before it answers.
func TestPower_Checker(t *testing.T) {
	random := harness.Random(t)
	full := record(t, "full")
	for name, lies := range map[string]func(*Call) bool{
		"of the log":      func(c *Call) bool { return c.Path == full.db+"-wal" },
		"of the database": func(c *Call) bool { return c.Path == full.db },
		"of the folder":   func(c *Call) bool { return c.Path == filepath.Dir(full.db) },
	} {
		images, wrong := full.replay(t, full.cuts(random, 10), random, lies, Nothing)
		t.Logf("without the fsyncs %s: %d images, %d wrong", name, images, len(wrong))
		if len(wrong) == 0 {
			t.Errorf("nobody misses the fsyncs %s", name)
		}
	}
	normal := record(t, "normal")
	images, wrong := normal.replay(t, normal.cuts(random, 10), random, nil, Nothing)
	t.Logf("durability normal: %d images, %d wrong", images, len(wrong))
	if len(wrong) == 0 {
		t.Error("nobody misses the fsyncs that durability normal leaves out")
	}
}
