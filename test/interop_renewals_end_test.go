//go:build linux

package test

import (
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
)

// A client whose renewals come to nothing is gone a tran-window after the first of them, whatever it does to stay.
func TestFailedRenewalsEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, l *lab, p *puppet) // once it is connected
	}{
		{name: "deaf", spoil: func(_ *testing.T, _ *lab, p *puppet) { p.deaf = true }},
		{name: "denied", spoil: func(t *testing.T, l *lab, p *puppet) {
			l.write(t, "deny", nil)
			p.event = func(e control.Event) {
				if c, ok := e.(control.NeedCredentials); ok && c.KeyID > 0 {
					_ = p.session.SetCredentials(p.user, p.pass)
					p.session.Step(time.Now())
					for _, b := range p.session.Output() {
						_, _ = p.conn.Write(b)
					}
					p.mute = true // it acknowledges nothing behind its key message
				}
			}
		}},
	} {
		for name, start := range programs {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				verify := l.script(t, "verify.sh", "test ! -e "+l.file("deny"))
				sock := l.file("mgmt.sock")
				s := start(t, l.server, l.serverArgs("--management", sock, "unix", "--hand-window", "3", "--tran-window", "10", "--reneg-sec", "5", "--script-security", "3",
					"--auth-user-pass-verify", verify, "via-env"))
				s.WaitLine(t, up, upLimit)
				m := manage(t, sock)
				p, err := l.newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), "V4", strings.Replace(usual, "IV_PROTO=990", "IV_PROTO=478", 1))
				if err != nil {
					t.Fatal(err)
				}
				defer p.session.Close()
				p.user, p.pass = "u", "p"
				if err := p.play(5*time.Second, func() bool { return p.told("PUSH_REPLY") }); err != nil {
					t.Fatal(err)
				}
				tt.spoil(t, l, p)
				next := time.Now()
				err = p.play(40*time.Second, func() bool {
					if time.Now().Before(next) {
						return false
					}
					next = time.Now().Add(500 * time.Millisecond)
					return clients(t, m) == 0
				})
				if err != nil {
					t.Errorf("the client stays: %v\n%s", err, s.Log())
				}
			})
		}
	}
}
