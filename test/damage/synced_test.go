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
// was cut short not from one that was never longer: then an earlier state is served, and it is a whole one. Everything else
// is reported. Where the owner's file says that commits are pipelined, the same holds for the last three transactions.
func TestLogWithoutIndex(t *testing.T) {
	t.Run("copied", func(t *testing.T) { testLogWithoutIndex(t, []string{"-shm", ".owner"}, 1) })
	t.Run("pipelined", func(t *testing.T) { testLogWithoutIndex(t, []string{"-shm"}, 3) })
}

// testLogWithoutIndex expects damage to be reported that has so many whole transactions behind it.
func testLogWithoutIndex(t *testing.T, without []string, behind int) {
	h := historyOf(t, left)
	r := harness.Random(t)
	log := h.files["-wal"]
	frame := h.pageSize + 24
	provable := commitBefore(log, frame, behind)
	mark := provable - frame // the header that ends that one: without it, the two look like one that was torn
	for _, how := range injuries {
		cases, refused, harmless, earlier := long(2, 20), 0, 0, 0
		for range cases {
			files := h.copyFiles()
			for _, ending := range without {
				delete(files, ending)
			}
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
				t.Errorf("%s, %s: %d sound transactions are behind it, and it is served as if nothing was lost", how.name, what, behind)
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

// commitBefore gives the byte of a log at which the transaction ends that so many are behind.
func commitBefore(log []byte, frame, behind int) int {
	var ends []int
	salts := log[16:24]
	for at := 32; at+frame <= len(log); at += frame {
		if bytes.Equal(log[at+8:at+16], salts) && binary.BigEndian.Uint32(log[at+4:]) != 0 {
			ends = append(ends, at+frame)
		}
	}
	return ends[len(ends)-1-behind]
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
