//go:build unix

package daemon

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/plugin"
)

var update = flag.Bool("update", false, "rewrite testdata/check.txt")

// checked are configurations that run, one line an option.
var checked = map[string][]string{
	"client": {"client", "dev tun", "remote 127.0.0.1 1194", "ca ca.crt", "cert k.crt", "key k.key", "tls-crypt ta.key", "remote-cert-tls server"},
	"server": {"dev tun", "topology subnet", "server 10.8.0.0 255.255.255.0", "ca ca.crt", "cert k.crt", "key k.key", "dh none", "keepalive 10 60"},
}

// testdata/check.txt has wrong lines of each kind, and all that check says about a configuration in which they stand: a case is
//
//	client -ca,key | ca k.key | verb 4
//		7:4 error file: ca k.key: it holds …
//
// where -ca,key takes out the lines that the configuration has of these options. go test -run CheckSays -update rewrites what follows the cases.
func TestCheckSays(t *testing.T) {
	t.Setenv(plugin.HelperVariable, "/bin/sh")
	const file = "testdata/check.txt"
	golden, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(materials(t))
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		b.WriteString(line)
		words := strings.SplitN(strings.TrimSpace(line), " | ", 2)
		head := strings.Fields(words[0])
		if len(words) < 2 || checked[head[0]] == nil {
			continue
		}
		var conf []string
		for _, l := range checked[head[0]] {
			if name, _, _ := strings.Cut(l, " "); len(head) < 2 || !slices.Contains(strings.Split(head[1][1:], ","), name) {
				conf = append(conf, l)
			}
		}
		conf = append(conf, strings.Split(words[1], " | ")...)
		if err := os.WriteFile("t.conf", []byte(strings.Join(conf, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		found, _ := Check([]string{"--config", "t.conf"})
		for _, f := range found {
			severity := "error"
			if f.Warning {
				severity = "warning"
			}
			where := fmt.Sprintf("%d:%d", f.Line, f.Column)
			if f.File != "t.conf" && f.File != "" {
				where = f.File + ":" + where
			}
			fmt.Fprintf(&b, "\t%s %s %s: %s\n", where, severity, f.Rule, strings.ReplaceAll(f.Text, here, "$HERE"))
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, want := strings.Split(b.String(), "\n"), strings.Split(string(text), "\n")
	for i := range got {
		if i >= len(want) || got[i] != want[i] {
			t.Fatalf("%s:%d: check says\n%s\n; see the test for how to rewrite the file", file, i+1, got[i])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s has %d lines, check says %d", file, len(want), len(got))
	}
}

// materials makes a folder with good files, and with files of every wrong kind.
func materials(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ca, err := pki.NewCA("CA")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Spec{Name: "k", Server: true})
	if err != nil {
		t.Fatal(err)
	}
	old, err := ca.Issue(pki.Spec{Name: "old", NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	encrypted, err := leaf.EncryptedKey("right")
	if err != nil {
		t.Fatal(err)
	}
	crl, err := ca.CRL(time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	der := leaf.Cert.Raw
	if err := pki.WriteFiles(dir, map[string][]byte{
		"ca.crt": ca.PEM, "k.crt": leaf.CertPEM, "k.key": leaf.KeyPEM, "old.crt": old.CertPEM, "old.key": old.KeyPEM, "enc.key": encrypted, "ta.key": pki.StaticKey(),
		"cut.pem": ca.PEM[:len(ca.PEM)/2], "cut.key": pki.StaticKey()[:300], "k.der": der, "crl.pem": crl, "cut.crl": crl[:len(crl)/2],
		"empty": nil, "text": []byte("hello\n"), "login": []byte("joe\nsecret\n"), "right": []byte("right\n"), "wrong": []byte("wrong\n"),
		"noexec.sh": []byte("#!/bin/sh\n"), "good.lua": []byte("print(1)\n"),
	}); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"d", "ccd", "sub", "jail"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"ccd/joe": "iroute 10.1.0.0 255.255.0.0\nrout 1\npush \"x\" y\n", "sub/ca.crt": string(ca.PEM), "jail/crl.pem": string(crl)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "open.key"), leaf.KeyPEM, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Good configurations pass, and what Parse refuses check calls a mistake, whatever else is wrong beside it: lines of testdata/check.txt in random company.
func TestCheckAgreesWithParse(t *testing.T) {
	text, err := os.ReadFile("testdata/check.txt")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(materials(t))
	check := func(lines []string) (mistakes int, err error) {
		if err := os.WriteFile("t.conf", []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		found, _ := Check([]string{"--config", "t.conf"})
		for _, f := range found {
			if !f.Warning {
				mistakes++
			}
		}
		here, _ := os.Getwd()
		defer os.Chdir(here) // which cd leaves
		_, err = config.Parse([]string{"t.conf"}, config.Env{})
		return mistakes, err
	}
	pool := []string{"mode server", "tls-server", "dev null", "proto-force tcp", "secret ta.key 1", "vlan-tagging", "<ca>", "\"", "\\"}
	for line := range strings.Lines(string(text)) {
		if _, rest, ok := strings.Cut(line, " | "); ok && line[0] != '\t' {
			pool = append(pool, strings.Split(strings.TrimSpace(rest), " | ")...)
		}
	}
	for name, lines := range checked {
		if n, err := check(lines); n > 0 || err != nil {
			t.Errorf("%s: %d mistakes, %v", name, n, err)
		}
		pool = append(pool, lines...)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 150 {
		var lines []string
		for range 1 + r.IntN(14) {
			lines = append(lines, pool[r.IntN(len(pool))])
		}
		if n, err := check(lines); err != nil && n == 0 {
			t.Errorf("check finds nothing wrong, Parse says %v\n%s", err, strings.Join(lines, "\n"))
		}
	}
}
