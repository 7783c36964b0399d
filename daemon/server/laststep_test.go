package server

import (
	"os"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
)

// A script that announces a further step has the time that it asked for, beyond the hand-window, as with stock.
func TestScriptAnswersBehindTheHandWindow(t *testing.T) {
	dir := t.TempDir()
	script := writeScript(t, dir, `printf '30\nwebauth\nWEB_AUTH::https://example.org/\n' >"$auth_pending_file"
( sleep 5; printf 1 >"$auth_control_file" ) </dev/null >/dev/null 2>&1 &
exit 2`)
	r := newRig(t, "udp4", "--script-security", "3", "--auth-user-pass-verify", script, "via-env")
	c, err := r.dial("", ctrlwrap.NewPlain())
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.session.Close()
	c.info = "IV_SSO=webauth\n"
	if err := c.begin(r.cert, ctrlwrap.NewPlain(), 0); err != nil {
		t.Fatal(err)
	}
	c.user, c.pass = "u", "p"
	if !c.up(20 * time.Second) {
		t.Errorf("it was told %q", c.texts)
	}
}

func writeScript(t *testing.T, dir, body string) string {
	t.Helper()
	if err := os.WriteFile(dir+"/verify.sh", []byte("#!/bin/sh\n"+body+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir + "/verify.sh"
}
