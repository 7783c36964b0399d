package mgmt_test

import (
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt"
)

// Lines of histories and of real-time notifications may hold anything. What is read is written so that it is read alike again, on one line.
func FuzzEntries(f *testing.F) {
	f.Add("1450000000,CONNECTED,SUCCESS,10.8.0.2,192.0.2.1,1194,,,fd00::2")
	f.Add("1450000000,WN,a, b,c")
	f.Add("18446744073709551615,0")
	f.Add("running,1450000000,2,3,0,0,4096,4,a,.b,")
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\r\n\x00") {
			return // no line holds these
		}
		if s, err := mgmt.ParseState(line); err == nil && mgmt.Plain(s.Name) == s.Name {
			agree(t, s.String(), mgmt.ParseState)
		}
		if e, err := mgmt.ParseLog(line); err == nil && mgmt.Plain(e.Flags) == e.Flags {
			agree(t, e.String(), mgmt.ParseLog)
		}
		if e, err := mgmt.ParseEcho(line); err == nil {
			agree(t, e.String(), mgmt.ParseEcho)
		}
		if c, err := mgmt.ParseByteCount(line); err == nil {
			if again, err := mgmt.ParseByteCount(string(c.Append(nil))); err != nil || again != c {
				t.Fatalf("%+v, then %+v, %v", c, again, err)
			}
		}
		if s, err := mgmt.ParseScript(line); err == nil && mgmt.Plain(string(s.State)) == string(s.State) {
			agree(t, s.String(), mgmt.ParseScript)
		}
	})
}

// agree reads a line that we wrote, and expects the same line of what was read.
func agree[T interface{ String() string }](t *testing.T, line string, parse func(string) (T, error)) {
	t.Helper()
	if strings.ContainsAny(line, "\r\n\x00") {
		t.Fatalf("more than a line: %q", line)
	}
	again, err := parse(line)
	if err != nil || again.String() != line {
		t.Fatalf("%q is read as %q, %v", line, again, err)
	}
}
