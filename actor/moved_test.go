package actor_test

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stated/stated/protocol"
)

// TestMoved_UnderLoad: the file is moved away while many write. After it was noticed nothing is acknowledged; what
// was acknowledged is there when the file is back.
func TestMoved_UnderLoad(t *testing.T) {
	path := tempDB(t)
	a := mustStart(t, path, nil)
	var wg sync.WaitGroup
	var unavailable, unknown atomic.Int64
	saved := make([]int, 8)
	stop, warm, moved := make(chan struct{}), make(chan struct{}, 8), make(chan struct{})
	for w := range 8 {
		wg.Go(func() {
			id, noticed := fmt.Sprint("agent", w), false
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				_, err := a.Save(t.Context(), id, fmt.Appendf(nil, "%d", n))
				switch protocol.CodeOf(err) {
				case "":
					saved[w] = n
					if noticed {
						t.Error("acknowledged while the file is away")
					}
				case protocol.CodeUnknown:
					unknown.Add(1)
				case protocol.CodeUnavailable:
					unavailable.Add(1)
					noticed = true
				default:
					t.Error(err)
				}
				if n == 5 {
					warm <- struct{}{}
				}
				if noticed && unavailable.Load() > 100 {
					select {
					case moved <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	for range 8 {
		<-warm
	}
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	<-moved
	close(stop)
	wg.Wait()
	if unknown.Load() > 8 {
		t.Errorf("%d unknown, of one batch of at most 8", unknown.Load())
	}
	if err := os.Rename(path+".moved", path); err != nil {
		t.Fatal(err)
	}
	for w, n := range saved {
		id := fmt.Sprint("agent", w)
		r, err := a.Load(t.Context(), id)
		var got int
		if _, scan := fmt.Sscan(string(r.State), &got); err != nil || scan != nil || got < n {
			t.Errorf("%s: %s, %v; %d was acknowledged", id, r.State, err, n)
		}
		for { // the store looks once a second whether the file is back
			_, err := a.Save(t.Context(), id, []byte("0"))
			if protocol.CodeOf(err) == protocol.CodeUnavailable && t.Context().Err() == nil {
				time.Sleep(time.Millisecond)
				continue
			}
			if err != nil {
				t.Errorf("back again: %v", err)
			}
			break
		}
	}
	wantRoom(t, a)
}
