package client

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/control"
)

func TestParseText(t *testing.T) {
	for _, tt := range []struct {
		in   string
		kind textKind
		arg  string
	}{
		{"PUSH_REPLY,ping 10", textPushReply, "ping 10"},
		{"PUSH_REPLY", textPushReply, ""},
		{"PUSH_UPDATE,-?dns,route 10.0.0.0", textPushUpdate, "-?dns,route 10.0.0.0"},
		{"AUTH_FAILED", textAuthFailed, ""},
		{"AUTH_FAILED,no, really\n", textAuthFailed, "no, really"},
		{"AUTH_PENDING,timeout 20", textAuthPending, "timeout 20"},
		{"INFO_PRE,CR_TEXT:R,E:Code?", textInfoPre, "CR_TEXT:R,E:Code?"},
		{"INFO,hello", textInfo, "hello"},
		{"RESTART", textRestart, ""},
		{"HALT,go away", textHalt, "go away"},
		{"EXIT", textExit, ""},
		{"NONSENSE,x", textUnknown, ""},
	} {
		kind, arg := parseText(tt.in)
		if kind != tt.kind || arg != tt.arg {
			t.Errorf("parseText(%q) = %v %q, want %v %q", tt.in, kind, arg, tt.kind, tt.arg)
		}
	}
}

func TestParseAuthFailed(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want authFailure
	}{
		{"", authFailure{}},
		{"bad PIN", authFailure{reason: "bad PIN"}},
		{"TEMP:later", authFailure{reason: "TEMP:later", temp: true, text: "later"}},
		{"TEMP[backoff 3]: server busy", authFailure{reason: "TEMP[backoff 3]: server busy", temp: true, backoff: 3 * time.Second, text: " server busy"}},
		{"TEMP[backoff 4,advance no]:x", authFailure{reason: "TEMP[backoff 4,advance no]:x", temp: true, backoff: 4 * time.Second, advance: advanceNo, text: "x"}},
		{"TEMP[advance remote]:x", authFailure{reason: "TEMP[advance remote]:x", temp: true, advance: advanceRemote, text: "x"}},
		{"TEMP[backoff -1,advance addr", authFailure{reason: "TEMP[backoff -1,advance addr", temp: true}},
	} {
		if diff := cmp.Diff(tt.want, parseAuthFailed(tt.in), cmp.AllowUnexported(authFailure{})); diff != "" {
			t.Errorf("parseAuthFailed(%q) (-want +got):\n%s", tt.in, diff)
		}
	}
}

func TestConnectionFlags(t *testing.T) {
	for _, tt := range []struct {
		in         string
		keep, next bool
	}{{"", false, false}, {"[N]", false, true}, {"[P]bye", true, false}, {"[PN]x", true, true}, {"see [N]", false, false}} {
		if keep, next := connectionFlags(tt.in); keep != tt.keep || next != tt.next {
			t.Errorf("connectionFlags(%q) = %v %v", tt.in, keep, next)
		}
	}
}

func TestRedactKeepsSecretsOut(t *testing.T) {
	got := control.Redact("PUSH_REPLY,echo hello there,auth-token SESS_ID_AT_AAAA,ping 10,auth-token-user dXNlcg==")
	want := "PUSH_REPLY,echo,auth-tokenSESS_ID,ping 10,auth-token-user"
	if got != want {
		t.Errorf("Redact = %q, want %q", got, want)
	}
}

func TestPushListJoinsParts(t *testing.T) {
	var l pushList
	if complete, ok := l.add("route 10.0.0.0, ping 10,push-continuation 2"); complete || !ok {
		t.Fatalf("first part: complete %v ok %v", complete, ok)
	}
	if complete, ok := l.add("ping-restart 60,push-continuation 1"); !complete || !ok {
		t.Fatalf("last part: complete %v ok %v", complete, ok)
	}
	if diff := cmp.Diff([]string{"route 10.0.0.0", "ping 10", "ping-restart 60"}, l.options); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if _, ok := l.add(strings.Repeat("x,", maxPushed+1)); ok {
		t.Error("an endless list was accepted")
	}
}

func FuzzTexts(f *testing.F) {
	for _, s := range []string{"AUTH_FAILED,TEMP[backoff 3,advance no]:x", "PUSH_REPLY,a,push-continuation 2", "PUSH_UPDATE,-?a,push-continuation 1", "RESTART,[N]", "AUTH_PENDING,timeout 20", "INFO_PRE,WEB_AUTH::u"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, msg string) {
		kind, arg := parseText(msg)
		switch kind {
		case textAuthFailed:
			if a := parseAuthFailed(arg); a.backoff < 0 {
				t.Errorf("negative backoff from %q", msg)
			}
		case textAuthPending:
			if pendingTimeout(arg) < 0 {
				t.Errorf("negative timeout from %q", msg)
			}
		case textPushReply, textPushUpdate:
			var l pushList
			l.add(arg)
		}
		if out := control.Redact(msg); strings.Contains(out, "SESS_ID_AT_") && strings.HasPrefix(msg, "auth-token SESS_ID_AT_") {
			t.Errorf("Redact(%q) = %q keeps a token", msg, out)
		}
	})
}
