package server

import (
	"os"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
)

// However a login ends, the files through which scripts were asked and answered are gone from tmp-dir.
func TestNothingIsLeftInTheTemporaryFolder(t *testing.T) {
	t.Parallel()
	up := func(t *testing.T, c *caller) {
		if !c.up(10 * time.Second) {
			t.Errorf("not let in: %v %q", c.failed, c.texts)
		}
	}
	refused := func(t *testing.T, c *caller) {
		if !c.play(15*time.Second, func() bool { return c.told("AUTH_FAILED") }) {
			t.Errorf("not refused: %v %q", c.failed, c.texts)
		}
	}
	for _, tt := range []struct {
		name                      string
		options                   []string
		verify, connect, response string // bodies of scripts; "" for none
		play                      func(t *testing.T, r *rig, c *caller)
	}{
		{name: "accepted by file", options: []string{"via-file"}, verify: "exit 0", play: func(t *testing.T, _ *rig, c *caller) { up(t, c) }},
		{name: "refused with a reason", options: []string{"via-env"}, verify: "echo no > $auth_failed_reason_file; exit 1", play: func(t *testing.T, _ *rig, c *caller) { refused(t, c) }},
		{name: "deferred, accepted", options: []string{"via-env"}, verify: "(sleep 0.2; printf 1 > $auth_control_file) & exit 2", play: func(t *testing.T, _ *rig, c *caller) { up(t, c) }},
		{name: "deferred, refused", options: []string{"via-env"}, verify: "(sleep 0.2; printf 0 > $auth_control_file) & exit 2", play: func(t *testing.T, _ *rig, c *caller) { refused(t, c) }},
		{name: "deferred, for ever", options: []string{"via-env"}, verify: "exit 2", play: func(t *testing.T, _ *rig, c *caller) { refused(t, c) }},
		{name: "deferred, the client is gone", options: []string{"via-env"}, verify: "exit 2", play: func(t *testing.T, r *rig, c *caller) {
			c.play(10*time.Second, func() bool { return c.active[0] })
			r.server.KillAddr(c.local(), "")
		}},
		{name: "a script that hangs", options: []string{"via-file"}, verify: "exec sleep 60", play: func(t *testing.T, _ *rig, c *caller) { refused(t, c) }},
		{name: "a script that is killed", options: []string{"via-file"}, verify: "kill -9 $$", play: func(t *testing.T, _ *rig, c *caller) { refused(t, c) }},
		{name: "connect script", options: []string{"via-env"}, verify: "exit 0", connect: "echo 'push \"echo x\"' > $1", play: func(t *testing.T, _ *rig, c *caller) { up(t, c) }},
		{name: "connect script refuses", options: []string{"via-env"}, verify: "exit 0", connect: "exit 1", play: func(t *testing.T, _ *rig, c *caller) { refused(t, c) }},
		{name: "connect script defers, the server ends", options: []string{"via-env"}, verify: "exit 0", connect: "printf 2 > $client_connect_deferred_file", play: func(t *testing.T, r *rig, c *caller) {
			r.await("the client is let in", func() (ok bool) {
				c.play(50*time.Millisecond, func() bool { return false })
				r.onHub(func(h *hub) { ok = h.clients == 1 })
				return ok
			})
			r.stop()
		}},
		{name: "the server ends", options: []string{"via-env"}, verify: "exit 2", play: func(t *testing.T, r *rig, c *caller) {
			c.play(10*time.Second, func() bool { return c.active[0] })
			r.stop()
		}},
		{name: "answers to a challenge", options: []string{"via-env"}, verify: "printf '20\\ncrtext\\nCR_TEXT:R,E:Code\\n' > $auth_pending_file; (sleep 0.5; printf 1 > $auth_control_file) & exit 2", response: "exit 0", play: func(t *testing.T, _ *rig, c *caller) {
			if !c.play(10*time.Second, func() bool { return c.told("INFO_PRE") }) {
				t.Errorf("no challenge: %q", c.texts)
			}
			_ = c.session.SendText("CR_RESPONSE,MTIz")
			up(t, c)
		}},
		{name: "a wrong answer to a challenge", options: []string{"via-env"}, verify: "printf '20\\ncrtext\\nCR_TEXT:R,E:Code\\n' > $auth_pending_file; exit 2", response: "exit 1", play: func(t *testing.T, _ *rig, c *caller) {
			if !c.play(10*time.Second, func() bool { return c.told("INFO_PRE") }) {
				t.Errorf("no challenge: %q", c.texts)
			}
			_ = c.session.SendText("CR_RESPONSE,MTIz")
			refused(t, c)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			script := func(name, body string) string {
				path := dir + "/" + name
				if err := os.WriteFile(path, []byte("#!/bin/sh\nPATH=/usr/bin:/bin\n"+body+"\n"), 0o700); err != nil {
					t.Fatal(err)
				}
				return path
			}
			tmp := dir + "/tmp"
			if err := os.Mkdir(tmp, 0o700); err != nil {
				t.Fatal(err)
			}
			args := []string{"--script-security", "2", "--tmp-dir", tmp, "--hand-window", "3", "--auth-user-pass-verify", script("verify", tt.verify), tt.options[0]}
			if tt.connect != "" {
				args = append(args, "--client-connect", script("connect", tt.connect))
			}
			if tt.response != "" {
				args = append(args, "--client-crresponse", script("response", tt.response))
			}
			r := newRig(t, "udp4", args...)
			c, err := r.dial("", ctrlwrap.NewPlain())
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			c.user, c.pass, c.info = "user", "pass", "IV_SSO=crtext\n"
			c.session.Close()
			if err := c.begin(r.cert, ctrlwrap.NewPlain(), 0); err != nil {
				t.Fatal(err)
			}
			tt.play(t, r, c)
			r.await("the folder is empty", func() bool {
				names, err := os.ReadDir(tmp)
				return err == nil && len(names) == 0
			})
		})
	}
}
