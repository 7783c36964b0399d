//go:build linux

package control_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// stock drives a session over a UDP socket against the stock daemon.
type stock struct {
	t     *testing.T
	s     *control.Session
	conn  *net.UDPConn
	peer  *net.UDPAddr // nil: connected, or not known yet
	texts []string
	seen  map[string]bool // events, "active 1"
}

// until runs the session until the condition holds.
func (d *stock) until(what string, limit time.Duration, done func() bool) {
	d.t.Helper()
	end := time.Now().Add(limit)
	buf := make([]byte, 2048)
	for time.Now().Before(end) {
		d.s.Step(time.Now())
		d.drain()
		d.s.Step(time.Now())
		d.drain()
		if done() {
			return
		}
		_ = d.conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
		n, from, err := d.conn.ReadFromUDP(buf)
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) && !strings.Contains(err.Error(), "refused") {
				d.t.Fatal(err)
			}
			continue
		}
		if d.conn.RemoteAddr() == nil {
			d.peer = from
		}
		if op, _, err := wire.ParseHeader(buf[:n]); err == nil && op.IsControl() {
			if err := d.s.Input(buf[:n], time.Now()); err != nil {
				d.t.Errorf("packet of the stock daemon refused: %v", err)
			}
		}
	}
	d.t.Fatalf("no %s within %v; seen %v, texts %q", what, limit, d.seen, d.texts)
}

func (d *stock) drain() {
	d.t.Helper()
	for _, p := range d.s.Output() {
		var err error
		if d.peer != nil {
			_, err = d.conn.WriteToUDP(p, d.peer)
		} else {
			_, err = d.conn.Write(p)
		}
		if err != nil && !strings.Contains(err.Error(), "refused") {
			d.t.Fatal(err)
		}
	}
	for {
		ev, ok := d.s.Event()
		if !ok {
			return
		}
		switch ev := ev.(type) {
		case control.NeedCredentials:
			if err := d.s.SetCredentials("", ""); err != nil {
				d.t.Fatal(err)
			}
		case control.Active:
			if _, err := d.s.KeyBlock(ev.KeyID, true); err != nil {
				d.t.Errorf("key block %d: %v", ev.KeyID, err)
			}
			d.seen[fmt.Sprintf("active %d", ev.KeyID)] = true
		case control.Text:
			d.texts = append(d.texts, ev.Text)
		case control.Failed:
			d.t.Fatalf("key %d: %v", ev.KeyID, ev.Err)
		}
	}
}

func (d *stock) text(prefix string) func() bool {
	return func() bool {
		for _, t := range d.texts {
			if strings.HasPrefix(t, prefix) {
				return true
			}
		}
		return false
	}
}

// Our client against a stock server: push, renewals by both ends under dynamic tls-crypt.
func TestClientAgainstStock(t *testing.T) {
	if testing.Short() {
		t.Skip("talks to the stock daemon")
	}
	daemontest.RequireRoot(t)
	for _, wrap := range []string{"plain", "tls-auth", "tls-crypt", "tls-crypt-v2"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(wrap+"/"+tls.VersionName(version), func(t *testing.T) {
				t.Parallel()
				ca, err := pki.NewCA("Lab CA")
				if err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				ns := daemontest.NewNamespace(t)
				w := newWrapping(t, wrap, dir)
				writePKI(t, ca, dir, true)
				config := strings.Join([]string{
					"dev tun", "proto udp", "port 1194", "local 127.0.0.1", "server 10.8.0.0 255.255.255.0", "topology subnet",
					"ca ca.crt", "cert own.crt", "key own.key", "dh none", "reneg-sec 3 3", "verb 3", w.server,
				}, "\n")
				if err := pki.WriteFiles(dir, map[string][]byte{"c.conf": []byte(config)}); err != nil {
					t.Fatal(err)
				}
				srv := ns.Start(t, daemontest.RequireOpenVPN(t), "--cd", dir, "--config", "c.conf")
				srv.WaitLine(t, "Initialization Sequence Completed", 10*time.Second)
				d := &stock{t: t, seen: map[string]bool{}}
				ns.Do(t, func() error {
					d.conn, err = net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1194})
					return err
				})
				defer func() { _ = d.conn.Close() }()
				cfg := w.config
				cfg.Role, cfg.TLS = keys.Client, issueTLS(t, ca, false, version)
				cfg.LocalOptions = "V4,dev-type tun,link-mtu 1541,tun-mtu 1500,proto UDPv4,auth SHA1,keysize 128,key-method 2,tls-client"
				cfg.PeerInfo = "IV_VER=2.6.14\nIV_PLAT=linux\nIV_NCP=2\nIV_CIPHERS=AES-256-GCM\nIV_PROTO=926\n"
				if d.s, err = control.New(cfg, time.Now()); err != nil {
					t.Fatal(err)
				}
				defer d.s.Close()
				d.until("key 0", 10*time.Second, func() bool { return d.seen["active 0"] })
				if err := d.s.SendText("PUSH_REQUEST"); err != nil {
					t.Fatal(err)
				}
				d.until("push", 10*time.Second, d.text("PUSH_REPLY,"))
				if !strings.Contains(d.texts[0], "dyn-tls-crypt") {
					t.Fatalf("server pushed %q", d.texts[0])
				}
				if err := d.s.EnableDynamicTLSCrypt(); err != nil {
					t.Fatal(err)
				}
				d.until("renewal by the server", 20*time.Second, func() bool { return d.seen["active 1"] })
				time.Sleep(100 * time.Millisecond) // the server has to see our last ack before it takes another reset
				if err := d.s.Renegotiate(time.Now()); err != nil {
					t.Fatal(err)
				}
				d.until("renewal by us", 20*time.Second, func() bool { return d.seen["active 2"] })
				if err := d.s.SendText("EXIT"); err != nil {
					t.Fatal(err)
				}
				d.until("end", 10*time.Second, func() bool { return strings.Contains(srv.Log(), "xit message received by peer") })
				if strings.Contains(srv.Log(), "TLS Error") {
					t.Errorf("the server is not happy")
				}
			})
		}
	}
}

// wrapping is one way to protect the control channel, for both programs.
type wrapping struct {
	config         control.Config // our side: Wrap, StaticKey, ResetOp
	server, client string         // lines for the stock daemon
}

func newWrapping(t *testing.T, kind, dir string) wrapping {
	t.Helper()
	static, err := keys.GenerateStaticKey(randReader{})
	if err != nil {
		t.Fatal(err)
	}
	digest, err := keys.ParseDigest("SHA1")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"static.key": static.Format()}
	var w wrapping
	w.config.StaticKey = static
	switch kind {
	case "plain":
		w.config.StaticKey = nil
		w.config.Wrap = ctrlwrap.NewPlain()
	case "tls-auth":
		w.config.Wrap = ctrlwrap.NewTLSAuth(static, keys.Direction1, digest)
		w.server, w.client = "tls-auth static.key 0", "tls-auth static.key 1"
	case "tls-crypt":
		w.config.Wrap = ctrlwrap.NewTLSCrypt(static, keys.Client)
		w.server, w.client = "tls-crypt static.key", "tls-crypt static.key"
	case "tls-crypt-v2":
		wk, err := keys.GenerateWrapKey(randReader{})
		if err != nil {
			t.Fatal(err)
		}
		wkc, err := wk.Wrap(static, keys.TimeMetadata(time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		w.config.Wrap = ctrlwrap.NewTLSCryptV2Client(static, wkc)
		w.config.ResetOp = wire.OpControlHardResetClientV3
		ck := keys.ClientKey{Key: *static, WKc: wkc}
		files["v2server.key"], files["v2client.key"] = wk.Format(), ck.Format()
		w.server, w.client = "tls-crypt-v2 v2server.key force-cookie", "tls-crypt-v2 v2client.key"
	default:
		t.Fatalf("wrapping %q", kind)
	}
	if err := pki.WriteFiles(dir, files); err != nil {
		t.Fatal(err)
	}
	return w
}

// writePKI writes the files of the stock daemon's end.
func writePKI(t *testing.T, ca *pki.CA, dir string, server bool) {
	t.Helper()
	leaf, err := ca.Issue(pki.Spec{Name: map[bool]string{true: "server", false: "client1"}[server], Server: server})
	if err != nil {
		t.Fatal(err)
	}
	err = pki.WriteFiles(dir, map[string][]byte{"ca.crt": ca.PEM, "own.crt": leaf.CertPEM, "own.key": leaf.KeyPEM})
	if err != nil {
		t.Fatal(err)
	}
}

// issueTLS makes our end's configuration.
func issueTLS(t *testing.T, ca *pki.CA, server bool, version uint16) *tls.Config {
	t.Helper()
	leaf, err := ca.Issue(pki.Spec{Name: "own", Server: server})
	if err != nil {
		t.Fatal(err)
	}
	c, err := tlsconf.Build(tlsconf.Options{Server: server, CA: ca.PEM, Cert: leaf.CertPEM, Key: leaf.KeyPEM})
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.TLS(tlsconf.Hooks{Step: func(s tlsconf.Step) { t.Log(s.Line) }})
	cfg.MaxVersion = version
	return cfg
}

// Our server against a stock client, point to point.
func TestServerAgainstStock(t *testing.T) {
	if testing.Short() {
		t.Skip("talks to the stock daemon")
	}
	daemontest.RequireRoot(t)
	for _, wrap := range []string{"plain", "tls-auth", "tls-crypt", "tls-crypt-v2"} {
		t.Run(wrap, func(t *testing.T) {
			t.Parallel()
			ca, err := pki.NewCA("Lab CA")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			ns := daemontest.NewNamespace(t)
			w := newWrapping(t, wrap, dir)
			writePKI(t, ca, dir, false)
			d := &stock{t: t, seen: map[string]bool{}}
			ns.Do(t, func() error {
				d.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1194})
				return err
			})
			defer func() { _ = d.conn.Close() }()
			cfg := w.config
			cfg.Role, cfg.ResetOp, cfg.TLS = keys.Server, 0, issueTLS(t, ca, true, tls.VersionTLS13)
			switch wrap {
			case "tls-auth":
				digest, err := keys.ParseDigest("SHA1")
				if err != nil {
					t.Fatal(err)
				}
				cfg.Wrap = ctrlwrap.NewTLSAuth(cfg.StaticKey, keys.Direction0, digest)
			case "tls-crypt":
				cfg.Wrap = ctrlwrap.NewTLSCrypt(cfg.StaticKey, keys.Server)
			case "tls-crypt-v2":
				cfg.Wrap = ctrlwrap.NewTLSCryptV2Server(cfg.StaticKey)
			}
			cfg.LocalOptions = "V4,dev-type tun,link-mtu 1541,tun-mtu 1500,proto UDPv4,auth SHA1,keysize 128,key-method 2,tls-server"
			if d.s, err = control.New(cfg, time.Now()); err != nil {
				t.Fatal(err)
			}
			defer d.s.Close()
			config := strings.Join([]string{
				"dev tun", "proto udp", "remote 127.0.0.1 1194", "nobind", "client",
				"ca ca.crt", "cert own.crt", "key own.key", "reneg-sec 3", "verb 3", "route-noexec", "ifconfig-noexec", w.client,
			}, "\n")
			if err := pki.WriteFiles(dir, map[string][]byte{"c.conf": []byte(config)}); err != nil {
				t.Fatal(err)
			}
			client := ns.Start(t, daemontest.RequireOpenVPN(t), "--cd", dir, "--config", filepath.Join(dir, "c.conf"))
			d.until("key 0", 10*time.Second, func() bool { return d.seen["active 0"] })
			push := "PUSH_REPLY,ifconfig 10.8.0.2 255.255.255.0,topology subnet,peer-id 0,cipher AES-256-GCM,protocol-flags cc-exit tls-ekm dyn-tls-crypt"
			if err := d.s.SendText(push); err != nil {
				t.Fatal(err)
			}
			if err := d.s.EnableDynamicTLSCrypt(); err != nil {
				t.Fatal(err)
			}
			d.until("renewal by the client", 20*time.Second, func() bool { return d.seen["active 1"] })
			d.until("end of it", time.Second, func() bool { return !d.s.Busy() })
			if err := d.s.Renegotiate(time.Now()); err != nil {
				t.Fatal(err)
			}
			d.until("renewal by us", 20*time.Second, func() bool { return d.seen["active 2"] })
			if err := d.s.SendText("RESTART"); err != nil {
				t.Fatal(err)
			}
			d.until("restart", 10*time.Second, func() bool { return strings.Contains(client.Log(), "SIGUSR1[soft,server-pushed-connection-reset]") })
			if strings.Contains(client.Log(), "TLS Error") {
				t.Errorf("the client is not happy")
			}
		})
	}
}
