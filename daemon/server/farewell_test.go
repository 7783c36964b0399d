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
