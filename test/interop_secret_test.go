//go:build linux

package test

import (
	"strings"
	"testing"
	"time"
)

// A client logs in with a user name, a password and a passphrase that are kept elsewhere. None of them is in its log. A source that fails ends
// the client with a reason.
func TestSecretsByReference(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.lockedKey(t)
	s := l.passwordServer(t)
	l.write(t, "kept", []byte("joe\ngood one\n"))
	key := []string{"--cert", l.file("locked.crt"), "--key", l.file("locked.key"), "--script-security", "2"}
	c := ours(t, l.client, l.clientArgs(append(key, "--verb", "5", "--auth-user-pass", "file:"+l.file("kept"), "--askpass", "cmd:echo sesame")...))
	c.WaitLine(t, up, upLimit)
	terminate(t, c)
	if log := c.Log(); strings.Contains(log, "good one") || strings.Contains(strings.ReplaceAll(log, "cmd:echo sesame", ""), "sesame") {
		t.Error("a secret is in the log")
	}
	c = ours(t, l.client, l.clientArgs(append(key, "--auth-user-pass", "cmd:sh -c 'echo locked >&2; exit 3'", "--askpass", "cmd:echo sesame")...))
	c.WaitLine(t, "secret cmd:sh -c 'echo locked >&2; exit 3': sh: exit status 3: locked", upLimit)
	if code := c.Wait(t, 5*time.Second); code != 1 {
		t.Errorf("exit code %d", code)
	}
	s.Stop(t)
}
