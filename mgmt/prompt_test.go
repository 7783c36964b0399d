package mgmt_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/mgmt"
)

func TestPromptTexts(t *testing.T) {
	parse := func(v any, err error) any {
		if err != nil {
			return err.Error()
		}
		return v
	}
	tests := []struct {
		text string
		want any // what the text is read as
		read func(string) any
		back func() []byte // nil: not written so
	}{
		{"Need 'Auth' username/password", mgmt.Need{Type: "Auth", Username: true, Password: true}, readNeed, nil},
		{"Need 'Private Key' password", mgmt.Need{Type: "Private Key", Password: true}, readNeed, nil},
		{"Need 'Auth' username", mgmt.Need{Type: "Auth", Username: true}, readNeed, nil},
		{"Need 'it's mine token' password", mgmt.Need{Type: "it's mine token", Password: true}, readNeed, nil},
		{
			"Need 'Auth' username/password SC:1,PIN, please SC:2", mgmt.Need{Type: "Auth", Username: true, Password: true, Challenge: &mgmt.StaticChallenge{Text: "PIN, please SC:2", Echo: true}},
			readNeed, nil,
		},
		{
			"Need 'Auth' username/password SC:2,", mgmt.Need{Type: "Auth", Username: true, Password: true, Challenge: &mgmt.StaticChallenge{Concat: true}},
			readNeed, nil,
		},
		{"Need 'token-insertion-request' confirmation MSG:Insert 'it'", mgmt.Question{Type: "token-insertion-request", Text: "Insert 'it'"}, readQuestion, nil},
		{"Verification Failed: 'Auth'", mgmt.Failed{Type: "Auth"}, readFailed, nil},
		{"Verification Failed: 'Auth' ['it's ['no']']", mgmt.Failed{Type: "Auth", Reason: "it's ['no']"}, readFailed, nil},
		{"vpn.example,1194,udp", mgmt.RemoteEntry{Host: "vpn.example", Port: "1194", Proto: "udp"}, func(s string) any { return parse(mgmt.ParseRemote(s)) }, nil},
		{"2,TCP,vpn,example", mgmt.ProxyQuestion{Index: 2, TCP: true, Host: "vpn,example"}, func(s string) any { return parse(mgmt.ParseProxy(s)) }, nil},
		{"Waiting for hold release:10", 10 * time.Second, func(s string) any { return parse(mgmt.ParseHold(s)) }, func() []byte { return mgmt.AppendHold(nil, 10*time.Second) }},
		{"Waiting for hold release", time.Duration(0), func(s string) any { return parse(mgmt.ParseHold(s)) }, nil},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, tt.read(tt.text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.text, diff)
		}
		var back []byte
		switch v := tt.want.(type) {
		case mgmt.Question:
			back = v.Append(nil, mgmt.KindNeedOK)
		case interface{ Append([]byte) []byte }:
			back = v.Append(nil)
		default:
			if tt.back == nil {
				continue
			}
			back = tt.back()
		}
		if string(back) != tt.text {
			t.Errorf("%s is written as %s", tt.text, back)
		}
	}
	if token, ok := mgmt.ParseAuthToken(string(mgmt.AppendAuthToken(nil, "SESS:1"))); !ok || token != "SESS:1" {
		t.Errorf("token %q, %v", token, ok)
	}
	for _, bad := range []string{"", "Need", "Need 'Auth", "Need 'Auth' nothing", "Verification Failed: 'Auth'", "Need 'x' string MSG:y"} {
		if n, err := mgmt.ParseNeed(bad); err == nil {
			t.Errorf("%q is %+v", bad, n)
		}
	}
	for _, bad := range []string{"", "a,b", "x,TCP,h"} {
		if p, err := mgmt.ParseProxy(bad); err == nil {
			t.Errorf("%q is %+v", bad, p)
		}
	}
	if _, err := mgmt.ParseHold("Waiting for hold release:soon"); err == nil {
		t.Error("a hold of soon is understood")
	}
}

func readNeed(s string) any {
	n, err := mgmt.ParseNeed(s)
	if err != nil {
		return err
	}
	return n
}

func readQuestion(s string) any {
	q, err := mgmt.ParseQuestion(s)
	if err != nil {
		return err
	}
	return q
}

func readFailed(s string) any {
	f, err := mgmt.ParseFailed(s)
	if err != nil {
		return err
	}
	return f
}

func TestChallenges(t *testing.T) {
	c, ok := mgmt.ParseDynamicChallenge("CRV1:R,E:Om01u7Fh4LrGBS7uh0SWmzwabUiGiW6l:Y3Ix:Please enter token PIN: now")
	want := mgmt.DynamicChallenge{Response: true, Echo: true, State: "Om01u7Fh4LrGBS7uh0SWmzwabUiGiW6l", Username: "cr1", Text: "Please enter token PIN: now"}
	if diff := cmp.Diff(want, c); !ok || diff != "" {
		t.Errorf("%v %s", ok, diff)
	}
	if got := c.Answer("8675309"); got != "CRV1::Om01u7Fh4LrGBS7uh0SWmzwabUiGiW6l::8675309" {
		t.Errorf("answer %q", got)
	}
	if got := mgmt.StaticResponse("foo", "8675309"); got != "SCRV1:Zm9v:ODY3NTMwOQ==" {
		t.Errorf("static answer %q", got)
	}
	for _, no := range []string{"", "CRV1:R:x", "CRV1:R:x:not base64:t", "crv1:R:x:Y3Ix:t"} {
		if c, ok := mgmt.ParseDynamicChallenge(no); ok {
			t.Errorf("%q is %+v", no, c)
		}
	}
}

// What is written is read back, whatever the fields hold, and no field begins a line of its own.
func FuzzPrompts(f *testing.F) {
	f.Add("Auth", "a challenge", uint8(7))
	f.Add("it's", "' SC:1,", uint8(3))
	f.Add("x\n>FATAL:", "\r", uint8(0))
	f.Fuzz(func(t *testing.T, typ, text string, flags uint8) {
		n := mgmt.Need{Type: typ, Username: flags&1 != 0, Password: flags&2 != 0 || flags&1 == 0}
		if flags&4 != 0 {
			n.Challenge = &mgmt.StaticChallenge{Text: text, Echo: flags&8 != 0, Concat: flags&16 != 0}
		}
		for _, line := range []string{
			string(n.Append(nil)), string(mgmt.Failed{Type: typ, Reason: text}.Append(nil)),
			string(mgmt.Question{Type: typ, Text: text}.Append(nil, mgmt.KindNeedStr)),
		} {
			if strings.ContainsAny(line, "\r\n\x00") {
				t.Fatalf("line %q", line)
			}
		}
		plain := mgmt.Plain(typ) == typ && mgmt.Plain(text) == text && !strings.Contains(typ+text, "'")
		back, err := mgmt.ParseNeed(string(n.Append(nil)))
		if plain && (err != nil || cmp.Diff(n, back) != "") {
			t.Fatalf("%+v is read as %+v, %v", n, back, err)
		}
		q, err := mgmt.ParseQuestion(string(mgmt.Question{Type: typ, Text: text}.Append(nil, mgmt.KindNeedOK)))
		if plain && (err != nil || q != (mgmt.Question{Type: typ, Text: text})) {
			t.Fatalf("question %+v, %v", q, err)
		}
		failed, err := mgmt.ParseFailed(string(mgmt.Failed{Type: typ, Reason: text}.Append(nil)))
		if plain && (err != nil || failed != (mgmt.Failed{Type: typ, Reason: text})) {
			t.Fatalf("refusal %+v, %v", failed, err)
		}
		// Anything at all may come from a daemon.
		for _, s := range []string{typ, text, "Need '" + text, "CRV1:" + text} {
			_, _ = mgmt.ParseNeed(s)
			_, _ = mgmt.ParseFailed(s)
			_, _ = mgmt.ParseQuestion(s)
			_, _ = mgmt.ParseHold(s)
			_, _ = mgmt.ParseRemote(s)
			_, _ = mgmt.ParseProxy(s)
			_, _ = mgmt.ParseDynamicChallenge(s)
		}
	})
}
