package fault

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
)

// Disk follows a recorded run and tells what a power cut would leave of the files in one folder: everything that was
// synced, and of what was done since then whatever the system has happened to write back. What a sync that failed should
// have written is gone, as on Linux: no later sync tries it again, and programs go on seeing it until the power is cut.
type Disk struct {
	folder string
	lies   func(*Call) bool // syncs that report success and do nothing
	names  map[string]*name
	open   map[int64]*handle // by descriptor
	syncs  map[*Call]snapshot
}

// name is a name in the folder: the file that it durably stands for, and what it became since then; nil is no file.
type name struct {
	durable *file
	since   []*file
}

func (n *name) now() *file {
	if len(n.since) > 0 {
		return n.since[len(n.since)-1]
	}
	return n.durable
}

// file is the content of a file: what is durable, and what was done since then.
type file struct {
	durable []byte
	since   []*change
}

// change is a write, or with truncate a new size.
type change struct {
	at       int64
	data     []byte
	truncate bool
	ended    bool
}

type handle struct {
	path string
	file *file
}

// snapshot is what a sync that has begun will make durable.
type snapshot struct {
	changes map[*change]bool
	names   map[string]int
}

// NewDisk begins with an empty folder. Calls for which lies holds are taken for syncs that do nothing; it may be nil.
func NewDisk(folder string, lies func(*Call) bool) *Disk {
	return &Disk{folder: folder, lies: lies, names: map[string]*name{}, open: map[int64]*handle{}, syncs: map[*Call]snapshot{}}
}

// Put enters a file that was there, and synced, before the run.
func (d *Disk) Put(base string, content []byte) {
	d.names[base] = &name{durable: &file{durable: slices.Clone(content)}} // syncs write into it
}

// Begin enters the start of a call: from now on its effect may be on the disk.
func (d *Disk) Begin(c *Call) {
	if c.Returned && c.Result < 0 && !isSync(c) {
		return
	}
	switch c.Name {
	case "openat", "open":
		path, flags := c.Arg(0), c.Arg(1)
		if c.Name == "openat" {
			path, flags = c.Arg(1), c.Arg(2)
		}
		d.openFile(c, path, flags)
	case "pwrite64", "write":
		if f := d.file(c); f != nil {
			at := int64(-1)
			if c.Name == "pwrite64" {
				at = c.Number(3)
			}
			f.write(at, []byte(c.Arg(1)))
		}
	case "ftruncate":
		if f := d.file(c); f != nil {
			f.since = append(f.since, &change{at: c.Number(1), truncate: true})
		}
	case "unlink":
		d.set(c.Arg(0), nil)
	case "unlinkat":
		d.set(c.Arg(1), nil)
	case "fsync", "fdatasync":
		d.syncs[c] = d.snapshot(c)
	}
}

// End enters that a call has returned.
func (d *Disk) End(c *Call) {
	switch c.Name {
	case "pwrite64", "write", "ftruncate":
		if f := d.file(c); f != nil {
			for _, s := range f.since {
				s.ended = true // one thread at a time writes a file
			}
		}
	case "fsync", "fdatasync":
		s := d.syncs[c]
		delete(d.syncs, c)
		switch f := d.file(c); {
		case c.Result == 0 && (d.lies == nil || !d.lies(c)):
			d.synced(c, s)
		case c.Result < 0 && f != nil:
			f.since = slices.DeleteFunc(f.since, func(change *change) bool { return s.changes[change] && !change.truncate })
		}
	}
}

func isSync(c *Call) bool { return c.Name == "fsync" || c.Name == "fdatasync" }

// inside gives the name of a path in the folder. The log's index (-shm) is made anew after a crash, and the other files
// beside the database are no part of it.
func (d *Disk) inside(path string) (string, bool) {
	if filepath.Dir(path) != d.folder || strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, ".owner") {
		return "", false
	}
	return filepath.Base(path), true
}

func (d *Disk) openFile(c *Call, path, flags string) {
	base, ok := d.inside(path)
	if !ok {
		delete(d.open, c.Result)
		return
	}
	n := d.names[base]
	if n == nil {
		n = &name{}
		d.names[base] = n
	}
	f := n.now()
	if f == nil && strings.Contains(flags, "O_CREAT") {
		f = &file{}
		n.since = append(n.since, f)
	}
	d.open[c.Result] = &handle{path, f}
}

func (d *Disk) set(path string, f *file) {
	if base, ok := d.inside(path); ok && d.names[base] != nil {
		d.names[base].since = append(d.names[base].since, f)
	}
}

// file gives the file that a call on a descriptor is about; nil when it is none of ours.
func (d *Disk) file(c *Call) *file {
	h := d.open[c.Number(0)]
	if h == nil || c.Path != h.path {
		return nil
	}
	return h.file
}

func (d *Disk) snapshot(c *Call) snapshot {
	s := snapshot{changes: map[*change]bool{}, names: map[string]int{}}
	if f := d.file(c); f != nil {
		for _, change := range f.since {
			s.changes[change] = change.ended
		}
	} else if c.Path == d.folder {
		for base, n := range d.names {
			s.names[base] = len(n.since)
		}
	}
	return s
}

func (d *Disk) synced(c *Call, s snapshot) {
	if f := d.file(c); f != nil {
		f.sync(s.changes)
	}
	for base, count := range s.names {
		if n := d.names[base]; count > 0 {
			n.durable, n.since = n.since[count-1], n.since[count:]
		}
	}
}

// Image gives the files as a power cut at this moment could leave them.
func (d *Disk) Image(r *rand.Rand, luck Luck) map[string][]byte {
	image := map[string][]byte{}
	for base, n := range d.names {
		f := n.durable
		if i := luck.moment(r, len(n.since)); i > 0 {
			f = n.since[i-1]
		}
		if f != nil {
			image[base] = f.image(r, luck)
		}
	}
	return image
}
