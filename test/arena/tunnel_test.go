//go:build linux

package arena

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// asDaemon in the environment makes this test program the daemon.
const asDaemon = "MOONGATE_TEST_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(asDaemon) != "" {
		os.Exit(daemon.Main(context.Background(), os.Args[1:], daemon.Env{}))
	}
	os.Exit(m.Run())
}

// Tunnel addresses of all contenders.
const (
	serverIP = "10.8.0.1"
	clientIP = "10.8.0.2"
)

// hosts are two namespaces, joined by a veth pair: 10.99.0.1 and 10.99.0.2.
type hosts struct {
	server, client *daemontest.Namespace
	daemons        []*daemontest.Process
}

// contender is a way to join the hosts by a tunnel.
type contender struct {
	name string
	// start brings the tunnel up and returns when it carries packets.
	start func(tb testing.TB, h *hosts)
	took  []figures // one for each round
}

// openvpn is a tunnel between two daemons that take OpenVPN's options, both run by the given command.
func openvpn(dir string, command []string, server, client []string) func(testing.TB, *hosts) {
	common := []string{
		"--dev", "tun", "--topology", "subnet", "--verb", "3", "--disable-dco", "--ca", filepath.Join(dir, "ca.crt"),
		"--tls-crypt", filepath.Join(dir, "tls-crypt.key"),
	}
	identity := func(name string) []string {
		return []string{"--cert", filepath.Join(dir, name+".crt"), "--key", filepath.Join(dir, name+".key")}
	}
	join := func(lists ...[]string) (all []string) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	return func(tb testing.TB, h *hosts) {
		const up = "Initialization Sequence Completed"
		args := join(command[1:], common, identity("server"), server,
			[]string{"--server", "10.8.0.0", "255.255.255.0", "--dh", "none", "--keepalive", "10", "60"})
		s := h.server.Start(tb, command[0], args...)
		s.WaitLine(tb, up, 20*time.Second)
		args = join(command[1:], common, identity("client"), client,
			[]string{"--client", "--nobind", "--remote", "10.99.0.1", "1194", "--remote-cert-tls", "server"})
		c := h.client.Start(tb, command[0], args...)
		c.WaitLine(tb, up, 20*time.Second)
		h.daemons = append(h.daemons, s, c)
	}
}

// authority writes the keys of both sides to a folder.
func authority(tb testing.TB) string {
	tb.Helper()
	dir := tb.TempDir()
	ca, err := pki.NewCA("Arena CA")
	if err != nil {
		tb.Fatal(err)
	}
	files := map[string][]byte{"ca.crt": ca.PEM, "tls-crypt.key": pki.StaticKey()}
	for name, spec := range map[string]pki.Spec{"server": {Name: "server", Server: true}, "client": {Name: "client1"}} {
		leaf, err := ca.Issue(spec)
		if err != nil {
			tb.Fatal(err)
		}
		files[name+".crt"], files[name+".key"] = leaf.CertPEM, leaf.KeyPEM
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// buildWireGuard builds wireguard-go from the module that our devices come from.
func buildWireGuard(dir string) (string, error) {
	exe := filepath.Join(dir, "wireguard-go")
	if out, err := exec.Command("go", "build", "-o", exe, "golang.zx2c4.com/wireguard").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build wireguard-go: %w\n%s", err, out)
	}
	return exe, nil
}

// wireguard is a tunnel between two wireguard-go processes.
func wireguard(exe string) func(testing.TB, *hosts) {
	return func(tb testing.TB, h *hosts) {
		keys := [2]*ecdh.PrivateKey{}
		for i := range keys {
			k, err := ecdh.X25519().GenerateKey(rand.Reader)
			if err != nil {
				tb.Fatal(err)
			}
			keys[i] = k
		}
		side := func(n *daemontest.Namespace, dev, ip, peerIP string, own, peer *ecdh.PrivateKey, more string) {
			h.daemons = append(h.daemons, n.Start(tb, exe, "-f", dev))
			configureWireGuard(tb, dev, fmt.Sprintf("private_key=%s\n%s", hex.EncodeToString(own.Bytes()), more),
				fmt.Sprintf("public_key=%s\nallowed_ip=%s/32\n", hex.EncodeToString(peer.PublicKey().Bytes()), peerIP))
			n.Run(tb, "ip", "addr", "add", ip+"/24", "dev", dev)
			n.Run(tb, "ip", "link", "set", dev, "up")
		}
		// The names are unique on the machine: the sockets below /var/run are not in the namespaces.
		dev := fmt.Sprintf("wg%d", os.Getpid())
		side(h.server, dev+"s", serverIP, clientIP, keys[0], keys[1], "listen_port=51820\n")
		side(h.client, dev+"c", clientIP, serverIP, keys[1], keys[0], "")
		endpoint := fmt.Sprintf("public_key=%s\nendpoint=10.99.0.1:51820\n", hex.EncodeToString(keys[0].PublicKey().Bytes()))
		configureWireGuard(tb, dev+"c", "", endpoint)
	}
}

// configureWireGuard sets a device up over its socket, as soon as that is there.
func configureWireGuard(tb testing.TB, dev string, sections ...string) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("unix", "/var/run/wireguard/"+dev+".sock")
		if err == nil {
			defer conn.Close()
			_, err = io.WriteString(conn, "set=1\n"+strings.Join(sections, "")+"\n")
			answer := make([]byte, 100)
			n, e := conn.Read(answer)
			if err = errors.Join(err, e); err != nil || !strings.Contains(string(answer[:n]), "errno=0") {
				tb.Fatalf("configure %s: %v %s", dev, err, answer[:n])
			}
			return
		}
		if time.Now().After(deadline) {
			tb.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
