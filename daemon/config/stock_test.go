package config

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// stock runs the real daemon on text in a file and returns its output without timestamps, and its exit status.
func stock(t *testing.T, dir, text string) ([]string, int) {
	t.Helper()
	bin, err := exec.LookPath("openvpn")
	if err != nil {
		t.Skip("openvpn is not installed: make test installs it")
	}
	out, status := runStock(t, bin, dir, text, 10*time.Second)
	return undated(out), status
}

// runStock runs a stock daemon on text in a file for so long at the most, and returns its output and exit status. Other goroutines than the
// test's may call it.
func runStock(t *testing.T, bin, dir, text string, limit time.Duration) (out string, status int) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "c.conf"), []byte(text), 0o600); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "c.conf")
	cmd.Dir = dir
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Error(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

// undated returns the lines of a log without their times.
func undated(log string) (lines []string) {
	for line := range strings.Lines(log) {
		lines = append(lines, timestamp.ReplaceAllString(strings.TrimSuffix(line, "\n"), ""))
	}
	return lines
}

var (
	timestamp = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (us=\d+ )?`)
	version   = regexp.MustCompile(`\(2\.\d+\.\d+\)$`)
)

// ours parses the same file in the same folder. The line is empty when nothing is wrong.
func ours(t *testing.T, dir string) (errorLine string, before []string) {
	t.Helper()
	t.Chdir(dir)
	_, err := Parse([]string{"c.conf"}, Env{})
	var e *Error
	if errors.As(err, &e) {
		before = e.Before
	}
	if err != nil {
		return err.Error(), before
	}
	return "", nil
}

// workDir has a certificate with its key, keys, and a script.
func workDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, tpl, tpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"cert": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		"key":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		"pass": []byte("u\np\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "script"), []byte("#!/bin/sh\n"), 0o700); err != nil { //nolint:gosec // it has to run
		t.Fatal(err)
	}
	return dir
}

// stop is a line that ends stock after its option checks, so that a good configuration needs no tunnel: the
// user does not exist.
const stop = "user no-such-user-here\n"

const (
	clientBase = "client\ndev null\nremote 127.0.0.1 1\nca cert\ncert cert\nkey key\n"
	serverBase = "dev tun\nserver 10.8.0.0 255.255.255.0\nca cert\ncert cert\nkey key\ndh none\n"
	peerBase   = "dev null\nremote 127.0.0.1 1\nca cert\ncert cert\nkey key\ntls-client\n"
)

// The error line and the exit status are those of the real daemon. An empty want means both accept the file.
func TestErrorsAreStocks(t *testing.T) {
	dir := workDir(t)
	for _, in := range []string{
		// good ones
		clientBase, serverBase, peerBase,
		clientBase + "proto tcp\nnobind\npersist-tun\npersist-key\nremote-cert-tls server\nverb 3\nmute 20\n",
		clientBase + "<connection>\nremote 127.0.0.1 2 tcp\nfloat\n</connection>\n<connection>\nremote 127.0.0.1 3\nexplicit-exit-notify 2\n</connection>\n",
		clientBase + "setenv opt block-outside-dns\nsetenv UV_x y\nignore-unknown-option foo\nfoo bar\nreneg-sec 0\n",
		clientBase + "pull-filter ignore \"route \"\nroute 10.0.0.0 255.0.0.0 vpn_gateway 5\ndhcp-option DNS 1.2.3.4\ntun-mtu 1400\n",
		serverBase + "topology subnet\nkeepalive 10 60\npush \"route 10.9.0.0 255.255.0.0\"\nserver-ipv6 fd00:8::/64\nclient-to-client\n",
		serverBase + "username-as-common-name\nauth-user-pass-verify ./script via-env\nverify-client-cert none\nscript-security 2\n",
		"\ufeff" + strings.ReplaceAll(clientBase, "\n", "\r\n"),
		"--client\n  --dev null # x\nremote 127.0.0.1 ; y\n" + strings.TrimPrefix(clientBase, "client\ndev null\nremote 127.0.0.1 1\n"),

		// the lexer
		"verb \"3\n", "verb '3\n", "verb \\3\n", "up " + strings.Repeat("x", 251) + "\n" + stop,
		"#" + strings.Repeat("x", 254) + "\n", "\ufeff\nverb",
		// names, parameters, contexts
		"zz 1\n", "verb\n", "verb 1 2\n", "ifconfig-push 1 2\n", "push-reset\n", "up a b\n", "auth-user-pass-verify a b c\n", "persist-tun x\n",
		"setenv opt zz\nzz\n", "setenv FORWARD_COMPATIBLE 1\nzz\nup a b\n", "setenv GENERIC_CONFIG 1\n", "setenv opt\nzz\n",
		// blocks
		"<verb>\n3\n</verb>\n", "<ca>\nx\n", "<ca> x\n", "<persist-tun>\n</persist-tun>\n", "<connection>\nremote a\nverb 3\n</connection>\n",
		"--<connection>\nremote a\nzz\n</connection>\n", "--<verb>\n3\n</verb>\n",
		"<connection>\nport 3\n</connection>\n", "<connection>\nremote a\nremote b\n</connection>\n", "<connection>\nremote a\n\nzz\n</connection>\n",
		"<connection>\nremote a\n<ca>\n</ca>\n</connection>\n",
		// includes
		"config nowhere\n", "config c.conf\n",
		// values
		"proto foo\n", "remote a 1 foo\n", "proto-force foo\n", "topology foo\n", "mode foo\n", "auth-retry foo\n", "status-version 4\n", "compat-mode foo\n",
		"tls-version-min 1.4\n", "verify-x509-name a bar\n", "ns-cert-type x\n", "remote-cert-tls x\n", "x509-username-field ext:foo\n", "key-direction 2\n",
		"tls-auth cert 2\n", "auth-gen-token 1 bar\n", "keying-material-exporter x 20\n", "keying-material-exporter EXPORTER-x 1\n",
		"replay-window 64 700\n", "replay-window\n", "remap-usr1 foo\n", "socket-flags FOO\n", "shaper 1\n", "fragment 1\n", "fragment 1000 foo\n", "mssfix 1 foo\n",
		"hash-size 0 0\n", "max-clients 16777215\n", "bcast-buffers 0\n", "tcp-queue-limit 0\n", "stale-routes-check 0\n", "verify-client-cert foo\n",
		"vlan-accept foo\n", "vlan-pvid 0\n", "ifconfig-pool 10.0.0.10 10.0.0.5\n", "ifconfig-pool 10.0.0.10 10.3.0.5\n", "ifconfig-pool a b\n",
		"ifconfig-ipv6-pool fd00::/63\n", "server-ipv6 fd00::/48\n", "server 10.8.0.0 255.255.255.0 foo\n", "route-gateway foo.bar\n", "route-ipv6-gateway foo\n",
		"redirect-gateway foo\n", "client-nat foo 1.2.3.4 1.2.3.4 1.2.3.4\n", "ifconfig 10.0.0.1 foo\n", "management-external-key foo\n", "auth-user-pass-verify a\n",
		"auth-user-pass-verify a foo\n", "pull-filter foo bar\n", "allow-compression foo\n", "comp-lzo foo\n", "compress foo\n", "tls-crypt-v2 a foo\n",
		"peer-fingerprint aa\n", "peer-fingerprint zz\n", "genkey foo\n", "dns foo\n", "dns server 1 foo x\n", "dns server 200 address 1.2.3.4\n", "dns server 1 address foo\n",
		"http-proxy a\n", "http-proxy-option FOO x\n", "msg-channel 1\n", "management-log-cache 0\n", "mtu-disc foo\n", "client-cert-not-required\n", "mtu-dynamic 1\n",
		"push a,b\n", "lladdr foo\n", "crl-verify a b\n", "tun-mtu-max 10\n", "protocol-flags x\n", "key-derivation x\n",
		// macros
		serverBase + "client\n", serverBase + "server-bridge\n", serverBase + "ifconfig-pool 10.8.0.2 10.8.0.9\n", "dev null\nserver 10.8.0.0 255.255.255.0\n",
		"dev tun\nserver 10.8.0.1 255.255.255.0\n", "dev tun\nserver 10.0.0.0 255.0.0.0\n", "dev tun\nserver 10.8.0.0 255.255.255.252\n",
		"dev tap\nserver 10.8.0.0 255.255.255.254\n", "dev tap\nserver-bridge 10.0.0.1 255.255.255.0 10.0.1.5 10.0.1.9\n", "dev tun\nserver-bridge\n",
		clientBase + "keepalive 0 0\n", clientBase + "keepalive 10 15\n", clientBase + "keepalive 10 60\nping 5\n", clientBase + "server-ipv6 fd00::/64\n",
		// consistency
		"verb 3\n", "client\n", "dev tun\nclient\nremote a\n", "dev tun\nclient\nremote a\nca cert\n", "dev tun\nclient\nremote a\nca cert\ncert cert\n",
		"dev tun\nserver 10.8.0.0 255.255.255.0\nca cert\ndh none\n", "dev tun\nserver 10.8.0.0 255.255.255.0\nca cert\ncert cert\ndh none\n",
		"dev foo\nclient\nremote a\nca cert\ncert cert\nkey key\nlladdr 00:11:22:33:44:55\n", peerBase + "proto tcp\n",
		clientBase + "lladdr 00:11:22:33:44:55\n", clientBase + "bind\nnobind\n", clientBase + "local 127.0.0.1\nnobind\n", clientBase + "lport 5\nnobind\n",
		clientBase + "management-hold\n", clientBase + "management 127.0.0.2 1 pass\nmanagement-client-user x\n", clientBase + "proto tcp\nfragment 1200\n",
		clientBase + "http-proxy a 80\n", clientBase + "proto tcp\nhttp-proxy-option AGENT x\n", clientBase + "proto tcp\nhttp-proxy a 80\nsocks-proxy b\n",
		clientBase + "no-replay\nreplay-window 64\n", clientBase + "tls-server\ndh none\n", clientBase + "tls-version-min 1.3\ntls-version-max 1.2\n",
		clientBase + "tls-auth key\ntls-crypt key\n", clientBase + "tls-crypt key\ntls-crypt-v2 key\n", peerBase + "auth-user-pass pass\n",
		clientBase + "link-mtu 1400\ntun-mtu 1400\n", clientBase + "management-external-key\nmanagement 127.0.0.2 1 pass\n",
		clientBase + "management-external-cert x\nmanagement 127.0.0.2 1 pass\n", clientBase + "pkcs12 cert\n", clientBase + "ifconfig 10.0.0.1 10.0.0.1\n",
		clientBase + "proto-force tcp\n", clientBase + "data-ciphers foo\n", clientBase + "data-ciphers ?foo:AES-256-GCM\n",
		clientBase + "client-to-client\n", clientBase + "duplicate-cn\n", clientBase + "port-share a 1\n", clientBase + "client-connect ./script\n",
		clientBase + "ccd-exclusive\n", clientBase + "connect-freq 1 1\n", clientBase + "vlan-tagging\n", clientBase + "ifconfig-pool 10.0.0.1 10.0.0.9\n",
		clientBase + "verify-client-cert none\n", clientBase + "username-as-common-name\n", clientBase + "auth-gen-token\n", clientBase + "stale-routes-check 1\n",
		serverBase + "pull\n", serverBase + "remote a\n", serverBase + "nobind\n", serverBase + "shaper 1000\n", serverBase + "ipchange ./script\n",
		serverBase + "proto tcp-client\n", serverBase + "port-share a 1\n", serverBase + "redirect-gateway def1\n", serverBase + "route-delay\n",
		serverBase + "up-delay\n", serverBase + "allow-recursive-routing\n", serverBase + "auth-user-pass pass\n", serverBase + "ccd-exclusive\n",
		serverBase + "verify-client-cert none\n", serverBase + "username-as-common-name\n", serverBase + "auth-user-pass-optional\n",
		serverBase + "vlan-tagging\n", serverBase + "vlan-pvid 3\n", serverBase + "auth-gen-token 0 30\n", serverBase + "proto tcp\nconnect-freq 1 1\n",
		"dev tun\nmode server\nca cert\ncert cert\nkey key\ndh none\n", "dev tun\nremote a\nca cert\n", "dev tun\nremote a\npull\n",
		// files
		strings.Replace(clientBase, "ca cert", "ca nowhere", 1), clientBase + "tls-crypt nowhere\ncrl-verify nowhere\n", clientBase + "up nowhere\n",
		clientBase + "writepid nowhere/pid\nstatus nowhere/status\n", serverBase + "client-config-dir nowhere\n", clientBase + "auth-user-pass nowhere\n",
		serverBase + "learn-address ./cert\n", clientBase + "cd nowhere\n",
	} {
		name := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(in, clientBase), serverBase), peerBase)
		t.Run(fmt.Sprintf("%.60q", name), func(t *testing.T) {
			lines, status := stock(t, dir, in+stop)
			got, before := ours(t, dir)
			accepted := slices.ContainsFunc(lines, func(s string) bool { return strings.HasPrefix(s, "failed to find UID for user") })
			if accepted {
				if got != "" {
					t.Fatalf("stock accepts it, we say\n%s\n%q", got, before)
				}
				return
			}
			var want, wantBefore []string
			for i, line := range lines {
				if strings.HasPrefix(line, "Options error: ") || strings.HasPrefix(line, "Options warning: ") ||
					i+1 < len(lines) && lines[i+1] == "Exiting due to fatal error" {
					want = append(want, version.ReplaceAllString(line, "("+programVersion+")"))
				}
			}
			if len(want) == 0 || status != 1 {
				t.Fatalf("status %d, stock says\n%s", status, strings.Join(lines, "\n"))
			}
			want, wantBefore = want[len(want)-1:], want[:len(want)-1]
			if got != want[0] || !slices.Equal(before, wantBefore) && len(before)+len(wantBefore) > 0 {
				t.Errorf("got  %q\n     %s\nwant %q\n     %s", before, got, wantBefore, want[0])
			}
		})
	}
}

// arityExtras are options that are not in the stock daemon of this machine, or take other parameters there.
var arityExtras = map[string]string{
	"static-challenge": "the method of 2.7", "multihome": "same-interface of 2.7", "route-table": "2.7", "dns-updown": "2.7",
	"tls-crypt-v2-max-age": "2.7", "override-username": "2.7", "allow-deprecated-insecure-static-crypto": "2.7",
	"use-prediction-resistance": "mbed TLS builds",
	"iproute":                   "builds with the external tool", "disable-offload": "ours", "compat": "ours", "connection": "only a block", "crl-verify": "the word dir",
}

// Every option takes as few and as many parameters as stock's: one less or one more is refused by both.
func TestArityIsStocks(t *testing.T) {
	dir := workDir(t)
	t.Chdir(dir)
	refusal := regexp.MustCompile(`Unrecognized option or missing or extra parameter\(s\) in c\.conf:1:`)
	for _, name := range slices.Sorted(maps.Keys(table())) {
		r := table()[name]
		if _, extra := arityExtras[name]; extra || scripts[name] > 0 || strings.HasPrefix(name, "pkcs11") || strings.HasPrefix(name, "show-") {
			continue
		}
		for _, n := range []int{r.min - 1, r.max + 1} {
			if n < 0 || n > many {
				continue
			}
			line := name + strings.Repeat(" 1", n)
			out, _ := stock(t, dir, line+"\nno-such-option\n")
			if !slices.ContainsFunc(out, refusal.MatchString) {
				t.Errorf("we refuse %q, stock says %q", line, out)
			}
			if got, _ := ours(t, dir); !refusal.MatchString(got) {
				t.Errorf("%q: got %q", line, got)
			}
		}
	}
}
