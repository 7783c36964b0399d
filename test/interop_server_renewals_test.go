//go:build linux

package test

import (
	"strings"
	"testing"
	"time"
)

// A client that asks for a renewal a hundred times a second gets one now and then, and costs what that costs.
func TestServerWithAClientThatRenewsAllTheTime(t *testing.T) {
	t.Parallel()
	l, s, _, bystander := hostileLab(t)
	p, err := l.newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), "V4", strings.Replace(usual, "IV_PROTO=990", "IV_PROTO=478", 1)) // no dynamic tls-crypt
	if err != nil {
		t.Fatal(err)
	}
	defer p.session.Close()
	if err := p.play(5*time.Second, func() bool { return p.told("PUSH_REPLY") }); err != nil {
		t.Fatal(err)
	}
	lines := s.Lines()
	asked, next := 0, time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		ping(t, bystander, "10.8.0.1", 300, 0, "0.01")
	}()
	const lasting = 7 * time.Second
	_ = p.play(lasting, func() bool {
		if now := time.Now(); now.After(next) && p.failed == nil {
			next = now.Add(10 * time.Millisecond)
			if p.session.Renegotiate(now) == nil {
				asked++
			}
		}
		return false
	})
	<-done
	granted := strings.Count(s.Log(), "Control Channel: ") - 1 // the server tells of the keys, not of what clients begin
	if granted < 2 || granted > int(lasting/time.Second)+1 {
		t.Errorf("%d renewals in %v, of %d asked for", granted, lasting, asked)
	}
	if n := s.Lines() - lines; n > 20*(granted+2) {
		t.Errorf("%d lines in the log", n)
	}
	terminate(t, s)
}
