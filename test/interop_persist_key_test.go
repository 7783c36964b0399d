//go:build linux

package test

import (
	"encoding/pem"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// Every option that names a file, as a user who may not read it any more: SIGUSR1, the server's RESTART and ping-restart
// go on with what was read at the start. The stock client does.
func TestPersistKeyAsNobody(t *testing.T) {
	t.Parallel()
	login := []string{"--auth-user-pass", "login.key"}
	for _, tt := range []struct {
		name           string
		client, server []string
		unwrapped      bool // the certificate does not come as files of the lab
	}{
		{"tls-auth, extra-certs, crl-verify", slices.Concat(login, []string{"--tls-auth", "ta.key", "1", "--extra-certs", "ca.crt", "--crl-verify", "crl.key"}), []string{"--tls-auth", "ta.key", "0"}, false},
		{"tls-crypt, pkcs12, askpass", slices.Concat(login, []string{"--tls-crypt", "ta.key", "--pkcs12", "bundle.key", "--askpass", "phrase.key"}), []string{"--tls-crypt", "ta.key"}, true},
		{"tls-crypt-v2, key with askpass", slices.Concat(login, []string{"--tls-crypt-v2", "v2c.key", "--cert", "locked.crt", "--key", "locked.key", "--askpass", "phrase.key"}), []string{"--tls-crypt-v2", "v2s.key"}, false},
		{"connection", slices.Concat(login, []string{"--config", "conn.key"}), []string{"--tls-auth", "ta.key", "0"}, false},
	} {
		for who, start := range programs {
			t.Run(tt.name+" "+who, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.keyFiles(t)
				sock := l.file("server.sock")
				args := l.serverArgs()
				args = args[:slices.Index(args, "--keepalive")]
				s := stock(t, l.server, append(append(args, "--ping", "1", "--management", sock, "unix", "--management-client-auth"), l.paths(tt.server)...))
				desk := &credentialLife{t: t, l: l, desk: manage(t, sock)}
				go desk.serve(desk.desk.Subscribe("CLIENT"))
				args = l.clientArgs(l.paths(tt.client)...)
				if tt.unwrapped {
					args = args[slices.Index(args, "--key")+2:]
					args = append([]string{"--client", "--dev", "tun", "--verb", "3"}, args...)
				}
				if strings.Contains(tt.name, "connection") {
					i := slices.Index(args, "--remote")
					args = slices.Delete(args, i, i+3)
				}
				c := start(t, l.client, append(args, "--user", "nobody", "--group", "nogroup", "--persist-key", "--persist-tun", "--ping", "1", "--ping-restart", "3", "--connect-retry", "1"))
				c.WaitLine(t, up, upLimit)
				again := func(why string, do func()) {
					from := c.Lines()
					do()
					c.WaitLineAfter(t, from, why, upLimit)
					c.WaitLineAfter(t, from, up, upLimit)
				}
				again("SIGUSR1[hard,]", func() { c.Signal(t, syscall.SIGUSR1) })
				again("server-pushed-connection-reset", func() {
					desk.mu.Lock()
					cid := desk.cid
					desk.mu.Unlock()
					do(t, desk.desk, "client-kill", cid, "RESTART,[P]")
				})
				again("SIGUSR1[soft,ping-restart]", func() {
					s.Signal(t, syscall.SIGSTOP)
					time.AfterFunc(4*time.Second, func() { s.Signal(t, syscall.SIGCONT) })
				})
				if strings.Contains(c.Log(), "ermission denied") && who == "ours" {
					t.Errorf("a file was read again:\n%s", c.Log())
				}
			})
		}
	}
	for who, start := range programs {
		t.Run("secret "+who, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			peer := func(n *daemontest.Namespace, start starter, remote, from, to string, extra ...string) *daemontest.Process {
				return start(t, n, append([]string{
					"--dev", "tun", "--verb", "3", "--remote", remote, "--ifconfig", from, to, "--secret", l.file("ta.key"), "--cipher", "AES-256-CBC",
					"--ping", "1", "--ping-restart", "3",
				}, extra...))
			}
			s := peer(l.server, stock, "10.99.0.2", "10.8.0.1", "10.8.0.2")
			c := peer(l.client, start, "10.99.0.1", "10.8.0.2", "10.8.0.1", "--user", "nobody", "--group", "nogroup", "--persist-key", "--persist-tun")
			c.WaitLine(t, up, upLimit)
			from := c.Lines()
			c.Signal(t, syscall.SIGUSR1)
			c.WaitLineAfter(t, from, up, upLimit)
			from = c.Lines()
			s.Signal(t, syscall.SIGSTOP)
			c.WaitLineAfter(t, from, "SIGUSR1[soft,ping-restart]", upLimit)
			s.Signal(t, syscall.SIGCONT)
			c.WaitLineAfter(t, from, up, upLimit)
		})
	}
}

// keyFiles writes a file for every option that takes one, readable for root.
func (l *lab) keyFiles(t *testing.T) {
	t.Helper()
	l.lockedKey(t)
	leaf := l.issue(t, "bundled", pki.Spec{Name: "client1"})
	bundle, err := leaf.PKCS12(l.ca, "sesame")
	if err != nil {
		t.Fatal(err)
	}
	crl, err := l.ca.CRL(time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := pem.Decode(crl); b == nil {
		crl = pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: crl})
	}
	v2Keys(t, l)
	for name, content := range map[string]string{
		"phrase.key": "sesame\n", "login.key": "u\np\n", "bundle.key": string(bundle), "crl.key": string(crl),
		"conn.key": "<connection>\nremote 10.99.0.1 1194\ntls-auth " + l.file("ta.key") + " 1\n</connection>\n",
	} {
		l.write(t, name, []byte(content))
	}
}
