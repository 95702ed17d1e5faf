package fault

import "math/rand/v2"

const (
	sectorBytes = 512  // what a disk writes whole or not at all
	cacheBytes  = 4096 // what the system writes back at once
)

// Luck says how much of what was not synced a power cut leaves.
type Luck int

// The kinds of luck.
const (
	Random  Luck = iota // each page, or of some pages each sector, as it was at some moment since the last sync
	Nothing             // only what was synced
	All                 // everything
	Most                // everything but one page of one write: commits that are whole behind one that is torn
)

// moment chooses how many of n changes in order are on the disk.
func (l Luck) moment(r *rand.Rand, n int) int {
	switch {
	case l == Nothing || n == 0:
		return 0
	case l == All, l == Most:
		return n
	default:
		return r.IntN(n + 1)
	}
}

// write enters a write at an offset; at the end when that is negative.
func (f *file) write(at int64, data []byte) {
	if at < 0 {
		at = int64(len(f.image(nil, All)))
	}
	f.since = append(f.since, &change{at: at, data: data})
}

// sync makes the changes of a set durable, in their order.
func (f *file) sync(set map[*change]bool) {
	var left []*change
	for _, c := range f.since {
		switch {
		case !set[c]:
			left = append(left, c)
		case c.truncate:
			f.durable = resize(f.durable, c.at)
		default:
			f.durable = c.write(f.durable, func(int64) bool { return true })
		}
	}
	f.since = left
}

// image gives the content as a power cut could leave it: each page of the cache was written back at a moment of its own.
// What file systems keep in a journal is in order: a size, and what was written into a file that had been cut before. A
// file whose cut is half done is not made here: SQLite, which empties its log so, relies on that too.
func (f *file) image(r *rand.Rand, luck Luck) []byte {
	n := len(f.since)
	journal := luck.moment(r, n)
	written := n // what comes later has no place on the disk yet
	size := int64(len(f.durable))
	for i, c := range f.since {
		if i < journal {
			size = c.sizeAfter(size)
		} else if c.truncate {
			written = i
			break
		}
	}
	moment := moments(r, luck, written)
	if luck == Most && written > 0 {
		moment = f.allBut(r, written)
	}
	content := append([]byte(nil), f.durable...)
	for i, c := range f.since[:written] {
		if c.truncate {
			content = resize(content, c.at)
			continue
		}
		content = c.write(content, func(sector int64) bool { return i < moment(sector) })
	}
	return resize(content, size)
}

// moments chooses for each page how many of n changes were done when it was written back; for some pages it chooses for
// each sector, as when the power fails just then.
func moments(r *rand.Rand, luck Luck, n int) func(sector int64) int {
	const sectors = cacheBytes / sectorBytes
	chosen := map[int64]int{} // by sector
	torn := map[int64]bool{}  // by page
	return func(sector int64) int {
		page := sector / sectors
		if _, ok := torn[page]; !ok {
			torn[page] = luck == Random && r.IntN(4) == 0
		}
		if !torn[page] {
			sector = page * sectors
		}
		if _, ok := chosen[sector]; !ok {
			chosen[sector] = luck.moment(r, n)
		}
		return chosen[sector]
	}
}

// allBut leaves out one page of one of the first n changes.
func (f *file) allBut(r *rand.Rand, n int) func(sector int64) int {
	i := r.IntN(n)
	c := f.since[i]
	lost := (c.at + r.Int64N(int64(len(c.data))+1)) / cacheBytes
	return func(sector int64) int {
		if sector/(cacheBytes/sectorBytes) == lost {
			return i
		}
		return n
	}
}

// write does the change to the sectors for which on holds.
func (c *change) write(content []byte, on func(sector int64) bool) []byte {
	end := c.at + int64(len(c.data))
	if int64(len(content)) < end {
		content = resize(content, end)
	}
	for at := c.at; at < end; {
		sector := at / sectorBytes
		next := min(end, (sector+1)*sectorBytes)
		if on(sector) {
			copy(content[at:next], c.data[at-c.at:])
		}
		at = next
	}
	return content
}

func (c *change) sizeAfter(size int64) int64 {
	if c.truncate {
		return c.at
	}
	return max(size, c.at+int64(len(c.data)))
}

func resize(content []byte, size int64) []byte {
	if size <= int64(len(content)) {
		return content[:size]
	}
	return append(content, make([]byte, size-int64(len(content)))...)
}
