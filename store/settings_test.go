package store_test

import (
	"testing"

	"github.com/stated/stated/store"
)

// TestCacheShares: what the connections keep together takes no more memory than was allowed, each page twice its size, and the
// writer has most of it.
func TestCacheShares(t *testing.T) {
	for _, readers := range []int{1, 2, 7} {
		const allowed = 64 << 20
		writer, reader := store.CacheShares(store.Options{CacheBytes: allowed, Readers: readers})
		if all := 2 * (writer + int64(readers)*reader); all > allowed || all < allowed*99/100 {
			t.Errorf("%d readers: %d bytes of memory, %d are allowed", readers, all, allowed)
		}
		if 4*writer != 3*allowed/2 {
			t.Errorf("%d readers: the writer keeps %d bytes of pages", readers, writer)
		}
	}
}
