package message

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPushReply(t *testing.T) {
	short, err := PackPush("PUSH_REPLY", []string{"route-gateway 10.8.0.1", "ping 10"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"PUSH_REPLY,route-gateway 10.8.0.1,ping 10"}, short); d != "" {
		t.Error(d)
	}
	if none, _ := PackPush("PUSH_REPLY", nil); len(none) != 1 || none[0] != "PUSH_REPLY" {
		t.Errorf("empty list: %q", none)
	}
	if _, err := PackPush("PUSH_REPLY", []string{strings.Repeat("x", 256)}); !errors.Is(err, ErrPushTooLong) {
		t.Errorf("overlong option: %v", err)
	}
	var many []string
	for i := range 80 {
		many = append(many, fmt.Sprintf("route 10.%d.0.0 255.255.0.0", i))
	}
	messages, err := PackPush("PUSH_REPLY", many)
	if err != nil {
		t.Fatal(err)
	}
	var joined []string
	for i, m := range messages {
		if len(m) > 1023 {
			t.Errorf("message %d has %d bytes", i, len(m))
		}
		options := strings.Split(m, ",")
		last := options[len(options)-1]
		want := "push-continuation 2"
		if i == len(messages)-1 {
			want = "push-continuation 1"
		}
		if options[0] != "PUSH_REPLY" || last != want {
			t.Errorf("message %d: %q … %q", i, options[0], last)
		}
		joined = append(joined, options[1:len(options)-1]...)
	}
	if d := cmp.Diff(many, joined); d != "" {
		t.Error(d)
	}
	if len(messages) != 3 {
		t.Errorf("%d messages, stock sends 3", len(messages))
	}
}

func TestPushListJoinsParts(t *testing.T) {
	var l PushList
	if complete, ok := l.Add("route 10.0.0.0, ping 10,push-continuation 2"); complete || !ok {
		t.Fatalf("first part: complete %v ok %v", complete, ok)
	}
	if complete, ok := l.Add("ping-restart 60,push-continuation 1"); !complete || !ok {
		t.Fatalf("last part: complete %v ok %v", complete, ok)
	}
	for mark, want := range map[string]bool{
		"push-continuation 1": true, "push-continuation 2": false, "push-continuation 2,push-continuation 1": true, "push-continuation 1,push-continuation 2": false,
	} { // the last one counts
		if complete, _ := new(PushList).Add("ping 5," + mark); complete != want {
			t.Errorf("%s: complete %v", mark, complete)
		}
	}
	if diff := cmp.Diff([]string{"route 10.0.0.0", "ping 10", "push-continuation 2", "ping-restart 60"}, l.Options); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if _, ok := l.Add(strings.Repeat("x,", maxPushed+1)); ok {
		t.Error("an endless list was accepted")
	}
}

// What one end packs the other end joins again, whatever the options.
func FuzzPush(f *testing.F) {
	f.Add("route 10.0.0.0 255.0.0.0\nping 10\n" + strings.Repeat("dhcp-option DNS 10.8.0.1\n", 100))
	f.Add("x")
	f.Fuzz(func(t *testing.T, s string) {
		var in []string
		for o := range strings.SplitSeq(s, "\n") {
			if o = strings.TrimLeft(strings.ReplaceAll(o, ",", ""), " "); o != "" && !strings.HasPrefix(o, "push-continuation") {
				in = append(in, o)
			}
		}
		messages, err := PackPush("PUSH_REPLY", in)
		if err != nil {
			if !errors.Is(err, ErrPushTooLong) {
				t.Fatal(err)
			}
			return
		}
		var l PushList
		for i, m := range messages {
			if len(m) >= pushBundle {
				t.Fatalf("message %d has %d bytes", i, len(m))
			}
			_, arg, _ := strings.Cut(m, ",")
			complete, ok := l.Add(arg)
			if complete != (i == len(messages)-1) || ok != (len(l.Options) <= maxPushed) {
				t.Fatalf("message %d of %d: complete %v ok %v", i+1, len(messages), complete, ok)
			}
		}
		if out := l.Unmarked(); !slices.Equal(in, out) {
			t.Fatalf("%q became %q", in, out)
		}
	})
}
