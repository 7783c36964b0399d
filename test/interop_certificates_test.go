//go:build linux

package test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// Certificates, keys and lists as the tools of the world write them, in live handshakes with stock on one end or the other.
func TestFilesOfTheWorld(t *testing.T) {
	t.Parallel()
	daemontest.RequireRoot(t)
	n := daemontest.NewNamespace(t)
	n.Run(t, "ip", "link", "set", "lo", "up")
	root, err := filepath.Abs("testdata/certificates")
	if err != nil {
		t.Fatal(err)
	}
	const connected = "Peer Connection Initiated"
	type row struct {
		name, dir      string
		server, client []string // the options that differ from what the folder's names say
		serverLine     string   // "" for connected
	}
	rows := []row{
		{name: "list of version 1", dir: "crl-v1", server: []string{"--crl-verify", "crl.pem"}},
		{name: "revoked by a list of version 1", dir: "crl-v1", server: []string{"--crl-verify", "crl-revoked.pem"}, serverLine: "error=certificate revoked"},
		{name: "list of version 1 by openssl ca", dir: "crl-v1", server: []string{"--crl-verify", "crl-openssl-ca.pem"}},
		{name: "authority with an underscore in its name beside the right one", dir: "strict-names", server: []string{"--ca", "ca-both.crt"}, client: []string{"--ca", "ca-both.crt"}},
		{name: "key of tls-auth with a byte order mark", dir: "pem-bom", server: []string{"--tls-auth", "bom-ta.key", "0"}, client: []string{"--tls-auth", "bom-ta.key", "1"}},
		{name: "SHA-1", dir: "sha1-insecure", server: []string{"--tls-cert-profile", "insecure"}, client: []string{"--tls-cert-profile", "insecure"}},
		{name: "renewed authority", dir: "renewed-ca"},
		{name: "SHA-224, which TLS has no name for", dir: "signed-sha224"},
		{
			name: "byte order marks", dir: "pem-bom", server: []string{"--crl-verify", "bom-crl.pem"},
			client: []string{"--ca", "bom-ca.crt", "--cert", "bom-c.crt", "--key", "bom-c.key"},
		},
		{name: "suites of TLS 1.2 that only stock has", dir: "crl-v1", client: []string{"--tls-cipher", "TLS-DHE-RSA-WITH-AES-256-CBC-SHA"}},
		{name: "suite of TLS 1.3", dir: "crl-v1", client: []string{"--tls-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"}, serverLine: "cipher TLSv1.3 TLS_CHACHA20_POLY1305_SHA256"},
	}
	for _, list := range []string{
		"DHE-RSA-AES256-SHA", "ECDHE-RSA-AES256-SHA384", "EDH+aRSA+HIGH:@STRENGTH", "TLSv1.2:!aNULL", "kRSA", "TLS-SRP-SHA-RSA-WITH-3DES-EDE-CBC-SHA:TLS-DHE-RSA-WITH-AES-128-CBC-SHA",
	} {
		rows = append(rows, row{name: "list of suites " + list, dir: "crl-v1", client: []string{"--tls-version-min", "1.2", "--tls-cipher", list}})
	}
	odd, err := filepath.Glob(filepath.Join(root, "strict-names", "client-*.crt"))
	if err != nil || len(odd) != 6 {
		t.Fatalf("%v, %v", odd, err)
	}
	for _, path := range odd {
		rows = append(rows, row{name: filepath.Base(path), dir: "strict-names", client: []string{"--cert", filepath.Base(path)}})
	}
	port := 20000
	for _, r := range rows {
		for _, ends := range []struct {
			name           string
			server, client starter
		}{{"our server", oursReleased, stock}, {"our client", stock, oursReleased}} {
			port++
			port := strconv.Itoa(port)
			t.Run(r.name+", "+ends.name, func(t *testing.T) {
				t.Parallel()
				// args names the files of an end, which later options may replace.
				args := func(end string, extra []string, more ...string) []string {
					a := append([]string{"--dev", "null", "--proto", "udp", "--verb", "3", "--ca", "ca.crt", "--cert", end + ".crt", "--key", end + ".key"}, extra...)
					for i, w := range a {
						if _, err := os.Stat(filepath.Join(root, r.dir, w)); err == nil && !strings.HasPrefix(w, "--") {
							a[i] = filepath.Join(root, r.dir, w)
						}
					}
					return append(a, more...)
				}
				server := ends.server(t, n, args("s", r.server, "--tls-server", "--dh", "none", "--local", "127.0.0.1", "--lport", port))
				client := ends.client(t, n, args("c", r.client, "--tls-client", "--nobind", "--remote", "127.0.0.1", port))
				if r.serverLine != "" {
					server.WaitLine(t, r.serverLine, upLimit)
					return
				}
				client.WaitLine(t, connected, upLimit)
				server.WaitLine(t, connected, upLimit)
			})
		}
	}
	t.Run("name from an alternative name", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(root, "san-only")
		common := []string{"--dev", "null", "--proto", "udp", "--verb", "3", "--ca", filepath.Join(dir, "ca.crt")}
		server := ours(t, n, append(common[:len(common):len(common)], "--cert", filepath.Join(dir, "s.crt"), "--key", filepath.Join(dir, "s.key"),
			"--tls-server", "--dh", "none", "--local", "127.0.0.1", "--lport", "19999", "--x509-username-field", "CN|ext:subjectAltName"))
		stock(t, n, append(common[:len(common):len(common)], "--cert", filepath.Join(dir, "c.crt"), "--key", filepath.Join(dir, "c.key"),
			"--tls-client", "--nobind", "--remote", "127.0.0.1", "19999"))
		server.WaitLine(t, "[laptop.example] "+connected, upLimit)
	})
}
