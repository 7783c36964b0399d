package record

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	got, err := read(strings.NewReader(header + "\n# a comment\n\n0 < >INFO:hi\n15 > pid\n16 < SUCCESS: pid=1\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []line{{0, true, ">INFO:hi"}, {15 * time.Millisecond, false, "pid"}, {16 * time.Millisecond, true, "SUCCESS: pid=1"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "x\n", header + "\nx < y\n", header + "\n-1 < y\n", header + "\n1 = y\n", header + "\n1 <\n"} {
		if lines, err := read(strings.NewReader(bad)); err == nil && len(lines) == 0 && bad != "" {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestHistory(t *testing.T) {
	answers := map[string][]string{"log all": {"1,,a", "2,,b", "3,,c", "END"}}
	for cmd, want := range map[string][]string{
		"log 2":      {"2,,b", "3,,c", "END"},
		"log on 1":   {"SUCCESS: real-time log notification set to ON", "3,,c", "END"},
		"log on all": {"SUCCESS: real-time log notification set to ON", "1,,a", "2,,b", "3,,c", "END"},
		"log 99":     {"1,,a", "2,,b", "3,,c", "END"},
		"log x":      nil,
		"pid 1":      nil,
		"echo 1":     nil,
	} {
		got, ok := history(answers, cmd)
		if diff := cmp.Diff(want, got); diff != "" || ok != (want != nil) {
			t.Errorf("%s: %v (-want +got):\n%s", cmd, ok, diff)
		}
	}
}

// FuzzRead writes what it read and reads the same again.
func FuzzRead(f *testing.F) {
	f.Add(header + "\n0 < >INFO:hi\n15 > pid\n")
	f.Fuzz(func(t *testing.T, s string) {
		lines, err := read(strings.NewReader(s))
		if err != nil {
			return
		}
		var b strings.Builder
		b.WriteString(header + "\n")
		for _, l := range lines {
			b.WriteString(l.String() + "\n")
		}
		again, err := read(strings.NewReader(b.String()))
		if diff := cmp.Diff(lines, again, cmp.AllowUnexported(line{})); diff != "" || err != nil {
			t.Errorf("%v (-first +second):\n%s", err, diff)
		}
	})
}
