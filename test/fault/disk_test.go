package fault

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// replay enters the lines of a trace into a disk whose folder is /d, up to the end.
func replay(t *testing.T, lies func(*Call) bool, lines ...string) *Disk {
	t.Helper()
	trace, err := ParseTrace(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	d := NewDisk("/d", lies)
	for _, c := range trace.Calls {
		d.Begin(c)
		if c.Returned {
			d.End(c)
		}
	}
	return d
}

const (
	create     = `1 openat(AT_FDCWD</>, "/d/a", O_RDWR|O_CREAT, 0600) = 3</d/a>`
	writeX     = `1 pwrite64(3</d/a>, "xxxx", 4, 0) = 4`
	writeY     = `1 pwrite64(3</d/a>, "yy", 2, 1) = 2`
	syncA      = `1 fdatasync(3</d/a>) = 0`
	syncNames  = `1 fsync(4</d>) = 0`
	failedSync = `1 fdatasync(3</d/a>) = -1 EIO (Input/output error) (INJECTED)`
	cut        = `1 ftruncate(3</d/a>, 1) = 0`
	remove     = `1 unlink("/d/a") = 0`
)

func TestDisk(t *testing.T) {
	for name, test := range map[string]struct {
		lines         []string
		nothing, full string // of the file; "-" is no file
	}{
		"nothing synced":     {[]string{create, writeX}, "-", "xxxx"},
		"the name synced":    {[]string{create, writeX, syncNames}, "", "xxxx"},
		"the content synced": {[]string{create, syncNames, writeX, syncA}, "xxxx", "xxxx"},
		"written after":      {[]string{create, syncNames, writeX, syncA, writeY}, "xxxx", "xyyx"},
		"cut after":          {[]string{create, syncNames, writeX, syncA, cut}, "xxxx", "x"},
		"cut and synced":     {[]string{create, syncNames, writeX, cut, syncA}, "x", "x"},
		"removed":            {[]string{create, syncNames, writeX, syncA, remove}, "xxxx", "-"},
		"removal synced":     {[]string{create, writeX, syncA, remove, syncNames}, "-", "-"},
		"made again":         {[]string{create, syncNames, writeX, syncA, remove, create}, "xxxx", ""},
		"a failed sync":      {[]string{create, syncNames, writeX, failedSync}, "", ""},
		"synced again":       {[]string{create, syncNames, writeX, failedSync, writeY, syncA}, "\x00yy", "\x00yy"},
		"a failed write":     {[]string{create, syncNames, `1 pwrite64(3</d/a>, "xxxx", 4, 0) = -1 EIO (x)`, syncA}, "", ""},
		"another folder":     {[]string{strings.ReplaceAll(create, "/d/a", "/e/a"), strings.ReplaceAll(writeX, "/d/a", "/e/a")}, "-", "-"},
	} {
		t.Run(name, func(t *testing.T) {
			d := replay(t, nil, test.lines...)
			for luck, want := range map[Luck]string{Nothing: test.nothing, All: test.full} {
				got, ok := d.Image(nil, luck)["a"]
				if !ok {
					got = []byte("-")
				}
				if string(got) != want {
					t.Errorf("with luck %d it is %q, want %q", luck, got, want)
				}
			}
		})
	}
	d := NewDisk("/d", nil)
	d.Put("a", []byte("old"))
	if got := d.Image(nil, Nothing)["a"]; string(got) != "old" {
		t.Errorf("what was there before is %q", got)
	}
	lying := replay(t, func(c *Call) bool { return c.Path == "/d/a" }, create, syncNames, writeX, syncA)
	if got := lying.Image(nil, Nothing)["a"]; len(got) != 0 {
		t.Errorf("a disk that lies has kept %q", got)
	}
}

// TestDisk_Overlap: a sync makes durable what had returned before it began, and nothing else.
func TestDisk_Overlap(t *testing.T) {
	d := NewDisk("/d", nil)
	begin := func(line string) *Call {
		trace, err := ParseTrace(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		d.Begin(trace.Calls[0])
		return trace.Calls[0]
	}
	d.End(begin(create))
	d.End(begin(syncNames))
	x := begin(writeX)
	early := begin(syncA)
	d.End(x)
	d.End(early)
	if got := d.Image(nil, Nothing)["a"]; len(got) != 0 {
		t.Errorf("%q was written after the sync had begun", got)
	}
	late := begin(syncA)
	d.End(begin(writeY))
	d.End(late)
	if got := d.Image(nil, Nothing)["a"]; string(got) != "xxxx" {
		t.Errorf("synced is %q", got)
	}
}

// TestDisk_Random: of a large write that was not synced there are images without it, with all of it, and with some of
// its sectors, and every sector is old or new.
func TestDisk_Random(t *testing.T) {
	d := replay(t, nil, create, syncNames)
	f := d.names["a"].now()
	f.durable = bytes.Repeat([]byte("a"), 8*cacheBytes)
	f.write(100, bytes.Repeat([]byte("b"), 9*cacheBytes))
	r := rand.New(rand.NewPCG(1, 2))
	sizes, torn, olds, news := map[int]bool{}, 0, 0, 0
	for range 300 {
		image := d.Image(r, Random)["a"]
		sizes[len(image)] = true
		for page := cacheBytes; page+cacheBytes <= min(len(image), len(f.durable)); page += cacheBytes {
			kinds := map[byte]bool{}
			for at := page; at < page+cacheBytes; at += sectorBytes {
				if n := bytes.Count(image[at:at+sectorBytes], image[at:at+1]); n != sectorBytes {
					t.Fatalf("the sector at %d is torn", at)
				}
				kinds[image[at]] = true
			}
			switch {
			case len(kinds) > 1:
				torn++
			case kinds['a']:
				olds++
			case kinds['b']:
				news++
			}
		}
	}
	if len(sizes) != 2 || torn == 0 || olds == 0 || news == 0 {
		t.Errorf("sizes %v; pages torn %d, old %d, new %d", sizes, torn, olds, news)
	}
}

// TestDisk_Cut: a file is cut whole or not at all, and what was written later is there only if it was cut.
func TestDisk_Cut(t *testing.T) {
	d := replay(t, nil, create, syncNames, writeX, syncA, `1 ftruncate(3</d/a>, 0) = 0`, writeY)
	r := rand.New(rand.NewPCG(1, 2))
	got := map[string]int{}
	for range 100 {
		got[string(d.Image(r, Random)["a"])]++
	}
	for _, want := range []string{"xxxx", "", "\x00\x00\x00", "\x00yy"} {
		if got[want] == 0 {
			t.Errorf("%q did not come up", want)
		}
		delete(got, want)
	}
	if len(got) > 0 {
		t.Errorf("also %v", got)
	}
}
