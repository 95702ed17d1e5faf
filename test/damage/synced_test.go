package damage

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/stated/stated/protocol"
	"github.com/stated/stated/test/harness"
)

// TestLogWithoutIndex damages a log beside which no index was left, as after a copy. Damage in the last transaction, or to
// what marks the end of the one before it, can then not be told from a commit that a power cut has torn, and a log that
// was cut short not from one that was never longer: then an earlier state is served, and it is a whole one. Everything else is reported.
func TestLogWithoutIndex(t *testing.T) {
	h := historyOf(t, left)
	r := harness.Random(t)
	log := h.files["-wal"]
	frame := h.pageSize + 24
	provable := lastCommits(log, frame)[0] // what differs before it has a whole transaction behind it
	mark := provable - frame               // the header that ends that one: without it, the two look like one that was torn
	for _, how := range injuries {
		cases, refused, harmless, earlier := long(2, 20), 0, 0, 0
		for range cases {
			files := h.copyFiles()
			delete(files, "-shm")
			injured, what := how.do(r, files["-wal"], frame)
			files["-wal"] = injured
			at := lastDifference(log, injured)
			m, closeIt, err := library(t, write(t, files))
			if err != nil {
				if protocol.CodeOf(err) != protocol.CodeCorrupt {
					t.Errorf("%s, %s: open says %v", how.name, what, err)
				}
				refused++
				continue
			}
			v := &verdict{}
			h.read(t, m, v)
			closeIt()
			if v.harmless() {
				harmless++
				continue
			}
			earlier++
			if at < provable && len(injured) >= mark+24 && bytes.Equal(injured[mark:mark+24], log[mark:mark+24]) {
				t.Errorf("%s, %s: a sound transaction is behind it, and it is served as if nothing was lost", how.name, what)
			}
			for _, text := range v.wrong {
				if strings.Contains(text, "ever saved: false") {
					t.Errorf("%s, %s: %s", how.name, what, text)
				}
			}
			if len(v.errors) > 0 {
				t.Errorf("%s, %s: what is left is no whole state: %v", how.name, what, v.errors)
			}
		}
		t.Logf("%s: %d cases: %d refused, %d harmless, %d served as of an earlier commit", how.name, cases, refused, harmless, earlier)
	}
}

// lastCommits gives the bytes at which the last transaction but one, and the last, end in a log.
func lastCommits(log []byte, frame int) (ends [2]int) {
	salts := log[16:24]
	for at := 32; at+frame <= len(log); at += frame {
		if bytes.Equal(log[at+8:at+16], salts) && binary.BigEndian.Uint32(log[at+4:]) != 0 {
			ends = [2]int{ends[1], at + frame}
		}
	}
	return ends
}

// lastDifference gives the last byte that differs; of a log that was cut, all that is missing differs.
func lastDifference(a, b []byte) int {
	for i := len(a) - 1; i >= 0; i-- {
		if i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return 0
}
