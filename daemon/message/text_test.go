package message

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseText(t *testing.T) {
	for _, tt := range []struct {
		in   string
		kind TextKind
		arg  string
	}{
		{"PUSH_REPLY,ping 10", TextPushReply, "ping 10"},
		{"PUSH_REPLY", TextPushReply, ""},
		{"PUSH_UPDATE,-?dns,route 10.0.0.0", TextPushUpdate, "-?dns,route 10.0.0.0"},
		{"AUTH_FAILED", TextAuthFailed, ""},
		{"AUTH_FAILED,no, really\n", TextAuthFailed, "no, really"},
		{"AUTH_PENDING,timeout 20", TextAuthPending, "timeout 20"},
		{"INFO_PRE,CR_TEXT:R,E:Code?", TextInfoPre, "CR_TEXT:R,E:Code?"},
		{"INFO,hello", TextInfo, "hello"},
		{"RESTART", TextRestart, ""},
		{"HALT,go away", TextHalt, "go away"},
		{"EXIT", TextExit, ""},
		{"NONSENSE,x", TextUnknown, ""},
		// a name with something behind it, as stock 2.6.14 took each
		{"PUSH_REPLYfoo", TextUnknown, ""}, {"PUSH_REPLYfoo,ping 5", TextUnknown, ""}, {"PUSH_UPDATE2,ping 5", TextUnknown, ""},
		{"INFO_PREfoo,x", TextInfoPre, ""}, {"AUTH_PENDINGfoo,timeout 6", TextAuthPending, ""}, {"EXITfoo", TextExit, ""},
		{"RESTART[N]", TextRestart, ""}, {"HALT,", TextHalt, ""}, {"INFO,a,b", TextInfo, "a,b"},
	} {
		kind, arg := ParseText(tt.in)
		if kind != tt.kind || arg != tt.arg {
			t.Errorf("ParseText(%q) = %v %q, want %v %q", tt.in, kind, arg, tt.kind, tt.arg)
		}
	}
}

// What stock 2.6.14 read of each; -1 stands for none. It takes a negative number for an enormous one.
func TestPendingTimeoutForms(t *testing.T) {
	for in, want := range map[string]int{
		"timeout 20": 20, "timeout  5": 5, "timeout5": 5, "timeout 5x": 5, "timeout +7": 7, "timeout 0": 0, "timeout 99999999999999999999": longestPending,
		"timeout 2147483648": longestPending, "timeout": -1, "timeout abc": -1, "timeout -1": -1, " timeout 7": -1, "foo 6": -1, "": -1,
	} {
		got, ok := PendingTimeout(in)
		if ok != (want >= 0) || ok && got != time.Duration(want)*time.Second {
			t.Errorf("%q: %v, %v; want %d", in, got, ok, want)
		}
	}
}

func TestParseAuthFailed(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want AuthFailure
	}{
		{"", AuthFailure{}},
		{"bad PIN", AuthFailure{Reason: "bad PIN"}},
		{"TEMP:later", AuthFailure{Reason: "TEMP:later", Temp: true, Text: "later"}},
		{"TEMP[backoff 3]: server busy", AuthFailure{Reason: "TEMP[backoff 3]: server busy", Temp: true, Backoff: 3 * time.Second, Text: " server busy"}},
		{"TEMP[backoff 4,advance no]:x", AuthFailure{Reason: "TEMP[backoff 4,advance no]:x", Temp: true, Backoff: 4 * time.Second, Advance: AdvanceNo, Text: "x"}},
		{"TEMP[advance remote]:x", AuthFailure{Reason: "TEMP[advance remote]:x", Temp: true, Advance: AdvanceRemote, Text: "x"}},
		{"TEMP[backoff -1,advance addr", AuthFailure{Reason: "TEMP[backoff -1,advance addr", Temp: true}},
	} {
		if diff := cmp.Diff(tt.want, ParseAuthFailed(tt.in)); diff != "" {
			t.Errorf("ParseAuthFailed(%q) (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestConnectionFlags(t *testing.T) {
	for _, tt := range []struct {
		in         string
		keep, next bool
	}{{"", false, false}, {"[N]", false, true}, {"[P]bye", true, false}, {"[PN]x", true, true}, {"see [N]", false, false}} {
		if keep, next := ConnectionFlags(tt.in); keep != tt.keep || next != tt.next {
			t.Errorf("ConnectionFlags(%q) = %v %v", tt.in, keep, next)
		}
	}
}

func TestRedactKeepsSecretsOut(t *testing.T) {
	got := Redact("PUSH_REPLY,echo hello there,auth-token SESS_ID_AT_AAAA,ping 10,auth-token-user dXNlcg==,?auth-token secret, -?auth-token-user dXNlcg==")
	want := "PUSH_REPLY,echo,auth-tokenSESS_ID,ping 10,auth-token-user,?auth-token, -?auth-token-user"
	if got != want {
		t.Errorf("Redact = %q, want %q", got, want)
	}
}

func FuzzTexts(f *testing.F) {
	for _, s := range []string{"AUTH_FAILED,TEMP[backoff 3,advance no]:x", "PUSH_REPLY,a,push-continuation 2", "PUSH_UPDATE,-?a,push-continuation 1", "RESTART,[N]", "AUTH_PENDING,timeout 20", "INFO_PRE,WEB_AUTH::u"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, msg string) {
		kind, arg := ParseText(msg)
		switch kind {
		case TextAuthFailed:
			if a := ParseAuthFailed(arg); a.Backoff < 0 {
				t.Errorf("negative backoff from %q", msg)
			}
		case TextAuthPending:
			if d, ok := PendingTimeout(arg); d < 0 || d > 0 && !ok {
				t.Errorf("negative timeout from %q", msg)
			}
		case TextPushReply, TextPushUpdate:
			var l PushList
			l.Add(arg)
		}
		if out := Redact(msg); strings.Contains(out, "SESS_ID_AT_") && strings.HasPrefix(msg, "auth-token SESS_ID_AT_") {
			t.Errorf("Redact(%q) = %q keeps a token", msg, out)
		}
	})
}
