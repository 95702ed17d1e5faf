package fault

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseTrace(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []*Call
	}{
		"a write": {
			`7 pwrite64(3<\x2f\x61>, "\x78\x00", 2, 4096) = 2`,
			[]*Call{{Thread: 7, Name: "pwrite64", Args: []string{"3", "x\x00", "2", "4096"}, Path: "/a", Result: 2, Returned: true, Start: 1, End: 1}},
		},
		"an open": {
			`7 openat(AT_FDCWD<\x2f>, "\x2f\x61", O_RDWR|O_CREAT, 0600) = 3<\x2f\x61>`,
			[]*Call{{
				Thread: 7, Name: "openat", Args: []string{"AT_FDCWD", "/a", "O_RDWR|O_CREAT", "0600"},
				Result: 3, ResultPath: "/a", Returned: true, Start: 1, End: 1,
			}},
		},
		"injected": {
			`7 fdatasync(3<\x2f\x61>) = -1 EIO (Input/output error) (INJECTED)`,
			[]*Call{{Thread: 7, Name: "fdatasync", Args: []string{"3"}, Path: "/a", Result: -1, Error: "EIO", Injected: true, Returned: true, Start: 1, End: 1}},
		},
		"two at once": {
			"7 fdatasync(3<\\x2f\\x61> <unfinished ...>\n8 unlink(\"\\x62\") = 0\n7 <... fdatasync resumed>) = 0\n",
			[]*Call{
				{Thread: 7, Name: "fdatasync", Args: []string{"3"}, Path: "/a", Returned: true, Start: 1, End: 3},
				{Thread: 8, Name: "unlink", Args: []string{"b"}, Returned: true, Start: 2, End: 2},
			},
		},
		"killed": {
			"7 pwrite64(3<\\x2f\\x61>, \"\\x78\", 1, 0) = ?\n8 fsync(4<\\x2f> <unfinished ...>\n7 +++ killed by SIGKILL +++",
			[]*Call{
				{Thread: 7, Name: "pwrite64", Args: []string{"3", "x", "1", "0"}, Path: "/a", Result: -1, Start: 1, End: 1},
				{Thread: 8, Name: "fsync", Args: []string{"4"}, Path: "/", Result: -1, Start: 2, End: 2},
			},
		},
		"a socket": {
			`7 write(9<TCP:[127.0.0.1:1->127.0.0.1:2]>, "\x2b", 1) = 1`,
			[]*Call{{
				Thread: 7, Name: "write", Args: []string{"9", "+", "1"}, Path: "TCP:[127.0.0.1:1->127.0.0.1:2]",
				Result: 1, Returned: true, Start: 1, End: 1,
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			trace, err := ParseTrace(strings.NewReader(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, trace.Calls); diff != "" {
				t.Error(diff)
			}
			if trace.Killed != (name == "killed") {
				t.Errorf("killed: %v", trace.Killed)
			}
		})
	}
	for _, text := range []string{"x", `7 write(3<\x2f>, "\x78"..., 99) = 99`, "7 <... write resumed>) = 1", `7 write(3, "\x7`, "7 read(3) = x"} {
		if trace, err := ParseTrace(strings.NewReader(text)); err == nil {
			t.Errorf("%q: %+v", text, trace)
		}
	}
}
