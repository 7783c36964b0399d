package plugin

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   message
		want answer
		bad  bool
	}{
		{name: "hello", in: message("H").number(3), want: answer{kind: 'H', status: 3}},
		{name: "cannot load", in: message("E").text("no such file"), want: answer{kind: 'E', text: "no such file"}},
		{name: "opened", in: message("O").number(0).number(32), want: answer{kind: 'O', mask: AuthUserPassVerify}},
		{name: "result", in: message("R").number(2).list([]string{"config", "push x"}), want: answer{kind: 'R', status: 2, list: []string{"config", "push x"}}},
		{name: "log", in: message("L").number(1).text("name").text("text"), want: answer{kind: 'L', status: 1, name: "name", text: "text"}},
		{name: "empty", bad: true},
		{name: "unknown kind", in: message("Z"), bad: true},
		{name: "name without a value", in: message("R").number(0).list([]string{"config"}), bad: true},
		{name: "cut short", in: message("L").number(1).text("name"), bad: true},
		{name: "longer than it is", in: message("E").number(1 << 31), bad: true},
		{name: "more strings than bytes", in: message("R").number(0).number(1 << 30), bad: true},
		{name: "bytes left over", in: append(message("H").number(3), 0), bad: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseAnswer(tt.in)
			if (err != nil) != tt.bad {
				t.Fatalf("error %v", err)
			}
			if !tt.bad {
				if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(answer{})); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestEventNames(t *testing.T) {
	if got := (Up | LearnAddress | ClientCRResponse).String(); got != "PLUGIN_UP|PLUGIN_LEARN_ADDRESS|PLUGIN_CRRESPONSE" {
		t.Error(got)
	}
	if All&(1<<11) != 0 || ClientCRResponse.number() != 15 || RoutePreDown.number() != 12 || TLSFinal.number() != 10 {
		t.Error("numbers of events")
	}
}

// write is the message that a parsed answer came from.
func (a answer) write() message {
	m := message{a.kind}
	switch a.kind {
	case 'H':
		return m.number(a.status)
	case 'E':
		return m.text(a.text)
	case 'O':
		return m.number(a.status).number(uint32(a.mask))
	case 'R':
		return m.number(a.status).list(a.list)
	default:
		return m.number(a.status).text(a.name).text(a.text)
	}
}

// No message of a worker panics or takes more memory than its bytes, and what is taken is what was said.
func FuzzAnswer(f *testing.F) {
	for _, m := range []message{
		message("H").number(3), message("E").text("why"), message("O").number(0).number(32), message("R").number(2).list([]string{"config", "push x"}),
		message("L").number(1).text("name").text("text"), message("E").number(7),
	} {
		f.Add([]byte(m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := parseEnded(b); err == nil {
			if diff := cmp.Diff(b, []byte(message("E").number(e.index).number(e.status))); diff != "" {
				t.Error(diff)
			}
		}
		a, err := parseAnswer(b)
		if err != nil {
			return
		}
		if diff := cmp.Diff(b, []byte(a.write())); diff != "" {
			t.Error(diff)
		}
	})
}
