package config

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// An empty value, as templates write whose variable is empty, ends the start: read as "not given" it would take away a tls-crypt, a list of
// revocations, a name to check or a user to become. Stock 2.6.14 goes on with those in maybeEmpty:
//
//	openvpn c.conf, with `NAME ""` behind a complete client or server
func TestEmptyValuesAreRefused(t *testing.T) {
	dir := workDir(t)
	t.Chdir(dir)
	for _, name := range maybeEmpty {
		if table()[name] == nil {
			t.Errorf("%s: no such option", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(table())) {
		r := table()[name]
		if r.facts&(inMain|anywhere) == 0 || r.max == 0 || r.effect != Works || slices.Contains(maybeEmpty, name) || slices.Contains([]string{"help", "version", "cd"}, name) {
			continue
		}
		for n := max(r.min, 1); n <= min(r.max, 3); n++ {
			for _, base := range []string{clientBase, serverBase} {
				text := base + name + ` ""` + strings.Repeat(" 1", n-1) + "\n"
				if err := os.WriteFile("c.conf", []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := Parse([]string{"c.conf"}, Env{}); err == nil {
					t.Errorf("accepted: %s", strings.TrimPrefix(text, base))
				}
			}
		}
	}
}

// What stock says to each, on the command line.
func TestEmptySecurityValues(t *testing.T) {
	for _, option := range []string{
		"tls-crypt", "tls-auth", "tls-crypt-v2", "crl-verify", "verify-x509-name", "remote-cert-eku", "user", "group", "chroot", "askpass", "capath",
		"tls-cert-profile", "tls-cipher", "tls-groups", "cipher", "data-ciphers-fallback", "auth", "tls-crypt-v2-verify", "client-config-dir", "tmp-dir",
	} {
		_, err := Parse([]string{"--client", "--dev", "null", "--remote", "127.0.0.1", "--ca", "x", "--cert", "x", "--key", "x", "--" + option, ""}, Env{SkipFiles: true})
		if err == nil || !strings.Contains(err.Error(), option) {
			t.Errorf("%s: %v", option, err)
		}
	}
}
