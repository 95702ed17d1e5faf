package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestReserveHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	reserve := reserveHeap(func(string) string { return "" })
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	if stats.NextGC < 2*heapReserve {
		t.Errorf("the next collection comes at %d bytes, want %d at least", stats.NextGC, 2*heapReserve)
	}
	runtime.KeepAlive(reserve)
}

func TestReserveHeap_decided(t *testing.T) {
	for _, set := range []string{"GOGC", "GOMEMLIMIT"} {
		getenv := func(key string) string { return map[string]string{set: "100"}[key] }
		if reserveHeap(getenv) != nil {
			t.Errorf("there is a reserve although %s is set", set)
		}
	}
}
