//go:build linux

package test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// An answer about a client that a restart ended lets in nobody else: answers name clients by number, and those who give them may
// take their time. Stock begins to count anew.
func TestLateAnswersLetNobodyIn(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	sock := l.file("mgmt.sock")
	s := l.ourServer(t, "--management", sock, "unix", "--management-client-auth", "--duplicate-cn")
	m := manage(t, sock)
	sub := m.Subscribe(mgmt.KindClient)
	wait := func(prefix string) string {
		t.Helper()
		for {
			n, err := notified(t, sub)
			if err != nil {
				t.Fatalf("no %s: %v", prefix, err)
			}
			if strings.HasPrefix(n.Text, prefix) {
				return n.Text
			}
		}
	}
	connect := func() (*puppet, string) {
		t.Helper()
		p, err := l.newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), "V4", usual)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.session.Close)
		p.user, p.pass = "u", "p"
		if err := p.play(15*time.Second, func() bool { return !p.session.Busy() }); err != nil {
			t.Fatal(err)
		}
		_, ids, _ := strings.Cut(wait("CONNECT,"), ",")
		return p, strings.ReplaceAll(ids, ",", " ")
	}
	_, first := connect()
	if err := syscall.Kill(s.PID(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	wait("DISCONNECT,")
	p, second := connect()
	if r, err := m.Cmd(t.Context(), "client-auth-nt "+first); err == nil {
		t.Errorf("client-auth-nt %s is answered by %q while client %s waits", first, r.Raw, second)
	}
	if _, err := m.Cmd(t.Context(), "client-auth-nt "+second); err != nil {
		t.Error(err)
	}
	if err := p.play(15*time.Second, func() bool { return p.told("PUSH_REPLY") }); err != nil {
		t.Error(err)
	}
	terminate(t, s)
}
