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
)

// moment chooses how many of n changes in order are on the disk.
func (l Luck) moment(r *rand.Rand, n int) int {
	switch {
	case l == Nothing || n == 0:
		return 0
	case l == All:
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
		if set[c] {
			f.durable = c.apply(f.durable, nil)
		} else {
			left = append(left, c)
		}
	}
	f.since = left
}

// image gives the content as a power cut could leave it: each page of the cache was written back at a moment of its own,
// and so was the size.
func (f *file) image(r *rand.Rand, luck Luck) []byte {
	n := len(f.since)
	moments := map[int64]int{} // by sector
	torn := map[int64]bool{}   // by page
	moment := func(sector int64) int {
		page := sector * sectorBytes / cacheBytes
		key := sector
		if luck == Random {
			if _, ok := torn[page]; !ok {
				torn[page] = r.IntN(4) == 0
			}
			if !torn[page] {
				key = page * (cacheBytes / sectorBytes)
			}
		}
		if _, ok := moments[key]; !ok {
			moments[key] = luck.moment(r, n)
		}
		return moments[key]
	}
	content := append([]byte(nil), f.durable...)
	for i, c := range f.since {
		content = c.apply(content, func(sector int64) bool { return i < moment(sector) })
	}
	size := int64(len(f.durable))
	for _, c := range f.since[:luck.moment(r, n)] {
		size = c.sizeAfter(size)
	}
	return resize(content, size)
}

// apply does the change to the sectors for which on holds; nil is all of them. A truncation clears what it cuts off, so
// that the size can be chosen apart.
func (c *change) apply(content []byte, on func(sector int64) bool) []byte {
	if c.truncate && on == nil {
		return resize(content, c.at)
	}
	end := c.at + int64(len(c.data))
	if c.truncate {
		end = int64(len(content))
	}
	if int64(len(content)) < end {
		content = resize(content, end)
	}
	for at := c.at; at < end; {
		sector := at / sectorBytes
		next := min(end, (sector+1)*sectorBytes)
		switch {
		case on != nil && !on(sector):
		case c.truncate:
			clear(content[at:next])
		default:
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
