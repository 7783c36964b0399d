//go:build soak

package client

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest/clock"
	"github.com/moongate-vpn/moongate/daemon/engine"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// The system's clock is set while whole engines, a client and a server, have a tunnel: what measures elapsed time goes on as before,
// tokens and certificates go by the new time. Each case is a process of its own, since all of a process sees its clock set.
func TestSoakClockIsSet(t *testing.T) {
	t.Parallel()
	c := clock.Inherited()
	for name, play := range map[string]func(*testing.T, *clock.System){
		"pings": clockAndPings, "renewals": clockAndRenewals, "silence": clockAndSilence, "token": clockAndToken, "certificate": clockAndCertificate,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c != nil {
				play(t, c)
				return
			}
			s := clock.NewSystem(t)
			cmd := exec.Command(os.Args[0], "-test.run=^TestSoakClockIsSet$/^"+name+"$") //nolint:gosec // this program
			cmd.Env = append(os.Environ(), s.Variable())
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// Pings keep tunnels up, over both kinds of links, for longer than ping-restart would allow silence.
func clockAndPings(t *testing.T, c *clock.System) {
	var pairs []*both
	for _, proto := range []string{"udp4", "tcp-server"} {
		b := newBoth(t, proto)
		b.serve("--ping", "1", "--ping-restart", "4", "--push", "ping 1", "--push", "ping-restart 4")
		b.connect()
		pairs = append(pairs, b)
	}
	for _, b := range pairs {
		b.up()
	}
	for _, step := range []time.Duration{-time.Hour, day, 0} {
		c.Set(t, step)
		time.Sleep(5 * time.Second)
		for _, b := range pairs {
			if n := b.client.log.Count("SIGUSR1") + b.server.log.Count("SIGUSR1"); n != 0 {
				t.Fatalf("%s: the clock was set to %v, and an engine ended the session", b.proto, step)
			}
		}
	}
}

// Keys are renewed when they are old enough, not earlier and not later.
func clockAndRenewals(t *testing.T, c *clock.System) {
	const age = 3 * time.Second
	b := newBoth(t, "udp4")
	b.serve("--reneg-sec", "0")
	b.connect("--reneg-sec", "3")
	b.up()
	for n, step := range []time.Duration{-30 * time.Minute, day} {
		b.lines(b.client, "TLS: soft reset", n+1)
		reset := time.Now()
		c.Set(t, step)
		b.lines(b.client, "TLS: soft reset", n+2)
		if d := time.Since(reset); d < age-time.Second {
			t.Errorf("the clock was set to %v, and a key of %v was renewed", step, d)
		}
	}
	if n := b.client.log.Count("ERROR") + b.server.log.Count("ERROR"); n != 0 {
		t.Error("a renewal failed")
	}
}

// A server that is silent is left after ping-restart.
func clockAndSilence(t *testing.T, c *clock.System) {
	b := newBoth(t, "udp4")
	b.serve("--push", "ping 1", "--push", "ping-restart 4", "--ping", "1")
	b.connect()
	b.up()
	b.end(b.server, engine.TERM)
	gone := time.Now()
	c.Set(t, -day)
	b.lines(b.client, "SIGUSR1[soft,ping-restart] received", 1)
	if d := time.Since(gone); d < 2*time.Second {
		t.Errorf("the server was given up after %v, not 4 s", d)
	}
}

// A token that was made a day ago, by the new time, is too old.
func clockAndToken(t *testing.T, c *clock.System) {
	b := newBoth(t, "udp4")
	b.serve("--script-security", "2", "--auth-user-pass-verify", b.write("verify", "#!/bin/sh\nexit 0\n"), "via-env", "--auth-gen-token", "3600", "--tmp-dir", b.dir, "--reneg-sec", "600")
	b.connect("--auth-user-pass", b.write("login", "user\npass\n"), "--reneg-sec", "2", "--auth-nocache")
	b.up()
	b.lines(b.client, "TLS: soft reset", 1)
	if b.client.log.Count("AUTH_FAILED") != 0 {
		t.Fatal("the token is refused while it is good")
	}
	c.Set(t, day)
	b.lines(b.client, "AUTH: Received control message: AUTH_FAILED", 1)
}

// Certificates that have expired, or begin later, by the new time, renew no key.
func clockAndCertificate(t *testing.T, c *clock.System) {
	for _, tt := range []struct {
		step time.Duration
		line string
	}{{2 * year, "certificate has expired"}, {-2 * day, "certificate is not yet valid"}} {
		b := newBoth(t, "udp4")
		b.serve("--reneg-sec", "0")
		b.connect("--reneg-sec", "2")
		b.up()
		c.Set(t, tt.step)
		b.lines(b.client, tt.line, 1)
		c.Set(t, 0)
	}
}
