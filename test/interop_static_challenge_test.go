//go:build linux

package test

import (
	"os"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt"
)

// All forms of static-challenge, shown and hidden, put to the port of stock 2.7 and to ours in the same words; the answer goes to a
// server of the other kind, as one login.
func TestStaticChallengeForms(t *testing.T) {
	t.Parallel()
	program := daemontest.RequireOpenVPN27(t)
	stock27 := func(t testing.TB, n *daemontest.Namespace, args []string) *daemontest.Process {
		return n.Start(t, program, args...)
	}
	for _, tt := range []struct {
		name           string
		server, client starter
	}{{"our client", stock27, ours}, {"stock client", ours, stock27}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			got := l.file("got")
			verify := l.script(t, "verify", `cat "$1" >`+got)
			s := tt.server(t, l.server, l.serverArgs("--script-security", "2", "--auth-user-pass-verify", verify, "via-file"))
			s.WaitLine(t, up, upLimit)
			for _, c := range []struct{ echo, form, prompt, password, arrives string }{
				{"1", "", "SC:1,PIN, now", mgmt.StaticResponse("secret", "424242"), "SCRV1:c2VjcmV0:NDI0MjQy"},
				{"0", "scrv1", "SC:0,PIN, now", mgmt.StaticResponse("secret", "424242"), "SCRV1:c2VjcmV0:NDI0MjQy"},
				{"1", "concat", "SC:3,PIN, now", "secret424242", "secret424242"},
				{"0", "concat", "SC:2,PIN, now", "secret424242", "secret424242"},
			} {
				sock := l.file("client.sock")
				args := l.clientArgs("--management", sock, "unix", "--management-query-passwords", "--auth-user-pass", "--static-challenge", "PIN, now", c.echo)
				if c.form != "" {
					args = append(args, c.form)
				}
				p := tt.client(t, l.client, args)
				m := manage(t, sock)
				f := &front{t: t, m: m, events: m.Subscribe(mgmt.KindPassword, mgmt.KindState)}
				do(t, m, "state", "on")
				if prompt := f.want(mgmt.KindPassword, "Need 'Auth' username/password"); prompt != "Need 'Auth' username/password "+c.prompt {
					t.Errorf("%s %s: prompt %q, want %s", c.echo, c.form, prompt, c.prompt)
				}
				f.login("joe", c.password)
				f.want(mgmt.KindState, "CONNECTED,SUCCESS")
				if text, err := os.ReadFile(got); err != nil || strings.TrimSpace(string(text)) != "joe\n"+c.arrives {
					t.Errorf("%s %s: the server got %q, want %q (%v)", c.echo, c.form, text, c.arrives, err)
				}
				terminate(t, p)
			}
		})
	}
}
