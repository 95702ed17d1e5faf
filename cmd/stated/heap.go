package main

// heapReserve is how much garbage may gather beyond what the runtime would let. It collects when the heap has doubled, which
// is every few milliseconds under load, since most of what the daemon keeps is SQLite's and not on that heap.
const heapReserve = 16 << 20

// reserveHeap makes the heap look larger to the collector, which then has less to do. The bytes are never touched, so the
// system gives no memory for them; unlike a higher GOGC they add the same to a large heap as to a small one. Whoever has set
// GOGC or GOMEMLIMIT has decided on that: then it gives nil. The reserve lasts while it is referred to.
func reserveHeap(getenv func(string) string) []byte {
	if getenv("GOGC") != "" || getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return make([]byte, heapReserve)
}
