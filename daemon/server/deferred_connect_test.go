package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
)

// A client-connect script that puts its answer off and never gives it holds up its client's session, and not the next one of the
// same name. The session that went has no client-disconnect, and its files are gone.
func TestDeferredConnectThatNeverEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := filepath.Join(dir, "calls")
	hook := filepath.Join(dir, "hook.sh")
	script := `#!/bin/sh
echo "$script_type" >>` + log + `
[ "$script_type" = client-connect ] && [ "$(grep -c client-connect ` + log + `)" = 1 ] && echo 2 >"$client_connect_deferred_file"
exit 0
`
	if err := os.WriteFile(hook, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	r := newNamedRig(t, "udp4", "--script-security", "2", "--client-connect", hook, "--client-disconnect", hook, "--tmp-dir", dir, "--hand-window", "60")
	calls := func() string { return strings.Join(strings.Fields(string(readOr(log))), " ") }
	first, err := r.dial("", ctrlwrap.NewPlain())
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	if !first.play(30*time.Second, func() bool { return calls() == "client-connect" }) {
		t.Fatalf("calls %q, %v", calls(), first.failed)
	}
	next, err := r.dial("", ctrlwrap.NewPlain())
	if err != nil {
		t.Fatal(err)
	}
	defer next.close()
	if !next.up(15 * time.Second) {
		t.Errorf("the next session is held up: calls %q, %v", calls(), next.failed)
	}
	if got := calls(); got != "client-connect client-connect" {
		t.Errorf("calls %q", got)
	}
	r.await("the files of the first session are gone", func() bool {
		left, _ := filepath.Glob(filepath.Join(dir, "openvpn_*"))
		return len(left) == 0
	})
}
