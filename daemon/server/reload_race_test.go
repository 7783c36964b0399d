package server

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// A reload puts another configuration in force while unknown peers, clients and status reports keep every other goroutine busy.
// What the race detector says about it is the test; and every client that comes is served.
func TestReloadUnderFire(t *testing.T) {
	const run = time.Second
	for _, proto := range []string{"udp4", "tcp4-server"} {
		t.Run(proto, func(t *testing.T) {
			dir := t.TempDir()
			if err := pki.WriteFiles(dir, map[string][]byte{"tc.key": pki.StaticKey()}); err != nil {
				t.Fatal(err)
			}
			r := newRig(t, proto, "--tls-crypt", dir+"/tc.key", "--script-security", "2")
			for _, hook := range []string{"--client-connect", "--client-disconnect", "--tls-verify", "--learn-address"} {
				r.args = append(r.args, hook, r.script("hook"+hook, "exit 0"))
			}
			key, err := keys.ParseStaticKey(mustRead(t, dir+"/tc.key"))
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			end := time.Now().Add(run)
			loop := func(f func(n int)) {
				wg.Go(func() {
					for n := 0; time.Now().Before(end); n++ {
						f(n)
					}
				})
			}
			loop(func(n int) { // reloads
				o := r.options("--max-clients", []string{"100", "200"}[n%2], "--inactive", "3600", "--verb", "4")
				if _, err := r.server.Apply(o, hooks.NewEnv()); err != nil {
					t.Error(err)
				}
				time.Sleep(5 * time.Millisecond)
			})
			loop(func(n int) { // unknown peers
				c, err := r.dial("", ctrlwrap.NewPlain())
				if err != nil {
					return
				}
				defer c.close()
				for k := range 20 {
					b := make([]byte, 14+rand.IntN(100))
					for i := range b {
						b[i] = byte(rand.Uint32())
					}
					b[0] = wire.Header(wire.OpControlHardResetClientV2, 0)
					if k%4 == 0 {
						b[0] = byte(rand.Uint32())
					}
					c.write(b)
				}
				time.Sleep(time.Millisecond)
			})
			var came, served int
			loop(func(int) { // clients
				c, err := r.dial("", ctrlwrap.NewTLSCrypt(key, keys.Client))
				if err != nil {
					t.Error(err)
					return
				}
				defer c.close()
				came++
				if c.up(5 * time.Second) {
					served++
				} else {
					t.Errorf("client %d: %v, %q", came, c.failed, c.texts)
				}
			})
			loop(func(int) {
				r.server.Status(2)
				time.Sleep(2 * time.Millisecond)
			})
			wg.Wait()
			if served == 0 {
				t.Errorf("%d of %d clients were served", served, came)
			}
			t.Logf("%d clients", served)
		})
	}
}
