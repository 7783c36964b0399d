package repl

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeLive is who asks and who is connected, for completion.
type fakeLive struct{}

func (fakeLive) Types(kind string) []string {
	return map[string][]string{"PASSWORD": {"Private Key"}}[kind]
}
func (fakeLive) Clients(ids bool) []string {
	if ids {
		return []string{"0", "12"}
	}
	return []string{"a b", "laptop"}
}

func TestComplete(t *testing.T) {
	for _, tt := range []struct {
		line string
		head string
		want []string
	}{
		{"ho", "", []string{"hold "}},
		{"hold re", "hold ", []string{"release "}},
		{"hold ", "hold ", []string{"off ", "on ", "release "}},
		{"password ", "password ", []string{`"Private Key" `}},
		{`password "Pri`, "password ", []string{`"Private Key" `}},
		{`password "Private K`, "password ", []string{`"Private Key" `}},
		{"kill ", "kill ", []string{`"a b" `, "laptop "}},
		{"client-kill 1", "client-kill ", []string{"12 "}},
		{"signal SIGU", "signal ", []string{"SIGUSR1 ", "SIGUSR2 "}},
		{"pid x", "pid ", nil},
	} {
		head, words, tail := complete(fakeLive{}, func([]string, string) []string { return nil }, tt.line, len(tt.line))
		if head != tt.head || tail != "" {
			t.Errorf("%q: head %q tail %q", tt.line, head, tail)
		}
		if diff := cmp.Diff(tt.want, words); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.line, diff)
		}
	}
}

func TestStorable(t *testing.T) {
	for line, want := range map[string]bool{
		"verb 3": true, "password Auth x": false, " \"password\" Auth x": false, "username Auth joe": false, "": false,
		"cr-response aGk=": false, "needstr x y": false, "needok x ok": true, "passwordx": false,
		"exec 'password Auth x'": false, "exec pid 'username Auth joe' \"password Auth x\"": false, `\watch 2s password Auth x`: false,
		"on 'edge*' raw password Auth x": false, "--json raw cr-response aGk=": false, "raw 'needstr x y'": false,
		"pasword Auth x": false, "Password Auth x": false, "exec 'passwrod Auth x'": false, "PASSWORD Auth x": false,
		"help password": true, "events -k PASSWORD": true, "kill laptop --by user": true, "connect --password file:x": true, `\record out.txt`: true, "proxy NONE": false,
	} {
		if got := storable(line); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
	for line, want := range map[string]string{
		"state on": "state on", "password Auth x": "password Auth [...]", "exec 'password Auth x'": "exec [...]", "pasword Auth x": "pasword [...]",
	} {
		if got := shown(line); got != want {
			t.Errorf("%q is written down as %q, want %q", line, got, want)
		}
	}
}
