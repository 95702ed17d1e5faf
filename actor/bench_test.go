package actor_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stated/stated/protocol"
)

// kilobyte is the state that the benchmarks save: 1 KiB of JSON.
var kilobyte = []byte(`{"notes":"` + strings.Repeat("x", 1024-12) + `"}`)

// BenchmarkSave saves 1 KiB, durably, for 1,000 agents in turn. "requests/batch" says how many share a commit.
func BenchmarkSave(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			a := mustStart(b, tempDB(b), nil)
			b.SetBytes(int64(len(kilobyte)))
			b.ReportAllocs()
			var n atomic.Int64
			save := func() {
				if _, err := a.Save(b.Context(), fmt.Sprint("agent", n.Add(1)%1000), kilobyte); err != nil {
					b.Error(err)
				}
			}
			if callers == 1 {
				for b.Loop() {
					save()
				}
			} else {
				b.SetParallelism(max(1, callers/runtime.GOMAXPROCS(0)))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						save()
					}
				})
			}
			info := a.Info()
			b.ReportMetric(float64(info.Requests)/float64(info.Batches), "requests/batch")
		})
	}
}

// BenchmarkLoad loads 1 KiB, from as many goroutines as there are CPUs.
func BenchmarkLoad(b *testing.B) {
	a := mustStart(b, tempDB(b), nil)
	for i := range 1000 {
		if _, err := a.Save(b.Context(), fmt.Sprint("agent", i), kilobyte); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(kilobyte)))
	b.ReportAllocs()
	b.ResetTimer()
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := a.Load(b.Context(), fmt.Sprint("agent", n.Add(1)%1000)); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkTxn moves something from one agent to another: two checks, two saves of 1 KiB, all or nothing.
func BenchmarkTxn(b *testing.B) {
	a := mustStart(b, tempDB(b), nil)
	save := func(id string) protocol.Op { return must(protocol.Save(id, kilobyte, protocol.Condition{})) }
	if _, err := a.Txn(b.Context(), save("a"), save("b")); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		_, err := a.Txn(b.Context(), must(protocol.Check("a", protocol.IfExists())), must(protocol.Check("b", protocol.IfExists())),
			save("a"), save("b"))
		if err != nil {
			b.Fatal(err)
		}
	}
	info := a.Info()
	b.ReportMetric(float64(info.Requests)/float64(info.Batches), "requests/batch")
}
