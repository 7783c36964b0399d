package server

import (
	"crypto/rand"
	"os"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// A server that throws its sessions away tells the clients first, whatever the signal, and answers no newcomer while it
// leaves, whatever the wrapping. One that starts again then serves the newcomer, which asked on.
func TestFarewell(t *testing.T) {
	t.Parallel()
	static, err := keys.GenerateStaticKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wrap, err := keys.GenerateWrapKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	wkc, err := wrap.Wrap(static, keys.TimeMetadata(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	sha1, err := keys.ParseDigest("SHA1")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		signal engine.Signal
		option string
		key    []byte
		client func() ctrlwrap.Wrapper
		reset  wire.Opcode
	}{
		{"SIGUSR1", engine.USR1, "", nil, ctrlwrap.NewPlain, 0},
		{"SIGHUP", engine.HUP, "", nil, ctrlwrap.NewPlain, 0},
		{"SIGTERM", engine.TERM, "", nil, ctrlwrap.NewPlain, 0},
		{"tls-auth", engine.USR1, "--tls-auth", static.Format(), func() ctrlwrap.Wrapper { return ctrlwrap.NewTLSAuth(static, keys.Bidirectional, sha1) }, 0},
		{"tls-crypt", engine.USR1, "--tls-crypt", static.Format(), func() ctrlwrap.Wrapper { return ctrlwrap.NewTLSCrypt(static, keys.Client) }, 0},
		{"tls-crypt-v2", engine.USR1, "--tls-crypt-v2", wrap.Format(), func() ctrlwrap.Wrapper { return ctrlwrap.NewTLSCryptV2Client(static, wkc) }, wire.OpControlHardResetClientV3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inFakeTime(t, func(t *testing.T) {
				options := []string{"--explicit-exit-notify", "1"}
				if tt.option != "" {
					path := t.TempDir() + "/key"
					if err := os.WriteFile(path, tt.key, 0o600); err != nil {
						t.Fatal(err)
					}
					options = append(options, tt.option, path)
				}
				r := newRig(t, inMemory, options...)
				dial := func() *caller {
					c, err := r.dial("", tt.client())
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(c.close)
					if err := c.begin(r.cert, tt.client(), tt.reset); err != nil {
						t.Fatal(err)
					}
					return c
				}
				c := dial()
				if !c.up(5 * time.Second) {
					t.Fatalf("not connected: %v, %q", c.failed, c.texts)
				}
				r.sig.Raise(engine.Stop{Signal: tt.signal})
				if !c.play(time.Second, func() bool { return c.told("RESTART") }) {
					t.Fatalf("the client was not told: %q", c.texts)
				}
				late := dial()
				late.play(time.Second, func() bool { return false })
				if late.session.Peer() != (wire.SessionID{}) {
					t.Error("a newcomer got an answer from a server that leaves")
				}
				if tt.signal == engine.USR1 && !late.up(8*time.Second) {
					t.Errorf("the newcomer is not let in after the restart: %v, %q", late.failed, late.texts)
				}
			})
		})
	}
}

// A client whose login is on its way when the server leaves is told, too, and is not let in for the moment that is left: it would
// find out after its ping-restart.
func TestFarewellDuringALogin(t *testing.T) {
	for _, tt := range []struct {
		name    string
		script  string // of client-connect
		options []string
		waits   func(r *rig, log string) bool
	}{
		{
			name: "client-connect runs", script: "touch $0.runs; sleep 0.3",
			waits: func(_ *rig, hook string) bool { return readOr(hook+".runs") != nil },
		},
		{
			name: "a verdict is out", options: []string{"--management", "127.0.0.1", "7505", "--management-client-auth"},
			waits: func(r *rig, _ string) bool { return r.port.count("connect") == 1 },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hook := t.TempDir() + "/hook.sh"
			if err := os.WriteFile(hook, []byte("#!/bin/sh\nPATH=/usr/bin:/bin\n"+tt.script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			options := append([]string{"--explicit-exit-notify", "1", "--hand-window", "60"}, tt.options...)
			if tt.script != "" {
				options = append(options, "--script-security", "2", "--client-connect", hook)
			}
			r := newRig(t, "udp4", options...)
			c, err := r.dial("", ctrlwrap.NewPlain())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.close)
			c.user, c.pass = "u", "p"
			if !c.play(30*time.Second, func() bool { return c.active[0] && tt.waits(r, hook) }) {
				t.Fatalf("the login does not get so far: %v", c.failed)
			}
			r.sig.Raise(engine.Stop{Signal: engine.TERM})
			if !c.play(15*time.Second, func() bool { return c.told("RESTART") }) {
				t.Errorf("the client is not told: %q", c.texts)
			}
			c.play(time.Second, func() bool { return c.told("PUSH_REPLY") })
			if c.told("PUSH_REPLY") {
				t.Errorf("the client is let in by a server that leaves: %q", c.texts)
			}
		})
	}
}
