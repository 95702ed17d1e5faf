package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/stated/stated/actor"
	"github.com/stated/stated/protocol"
	"github.com/stated/stated/store"
)

// BenchmarkObserved is what counting and timing costs a request that does nothing else, from as many goroutines as there
// are CPUs.
func BenchmarkObserved(b *testing.B) {
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprint("watched=", watched), func(b *testing.B) {
			var h protocol.Handler = &fakeHandler{}
			if watched {
				h = observed{h, newMetrics(about{}), newSlowLog(time.Second, zerolog.Nop())}
			}
			op := saveOp(b, "a", "1")
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := protocol.Do(context.Background(), h, op); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkSave saves 1 KiB for 1,000 agents in turn, from 64 goroutines, with the daemon's metrics and without. Without
// an fsync, what they cost would show most.
func BenchmarkSave(b *testing.B) {
	for _, durability := range []store.Durability{store.DurabilityOff, store.DurabilityFull} {
		for _, watched := range []bool{false, true} {
			b.Run(fmt.Sprintf("durability=%s/watched=%v", durability, watched), func(b *testing.B) {
				m := newMetrics(about{})
				storeOptions, actorOptions := store.Options{Durability: durability}, actor.Options{}
				if watched {
					storeOptions.OnCheckpoint = m.checkpoint
					actorOptions.OnCommit, actorOptions.OnLockWait = m.commit, m.lockWait
				}
				s, err := store.Open(b.Context(), filepath.Join(b.TempDir(), "a.db"), storeOptions)
				if err != nil {
					b.Fatal(err)
				}
				a := actor.New(s, actorOptions)
				defer func() {
					if err := errors.Join(a.Close(context.Background()), s.Close()); err != nil {
						b.Error(err)
					}
				}()
				var h protocol.Handler = a
				if watched {
					h = observed{a, m, newSlowLog(time.Second, zerolog.Nop())}
				}
				methods := protocol.Methods{Handler: h}
				state := []byte(`{"notes":"` + strings.Repeat("x", 1024-12) + `"}`)
				b.SetParallelism(max(1, 64/runtime.GOMAXPROCS(0)))
				b.ReportAllocs()
				b.ResetTimer()
				var n atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := methods.Save(b.Context(), fmt.Sprint("agent", n.Add(1)%1000), state); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}
