package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cases are what once failed on real files and in real lives, by short names, each with what is right and the test that plays it.
var cases = []struct {
	name, right string
	file, test  string // where it is played
	rows        []string
}{
	{"crl-v1", "lists of version 1 are read: who is revoked stays out, others come in", "interop_certificates_test.go", "TestFilesOfTheWorld", []string{"list of version 1", "revoked by a list of version 1", "list of version 1 by openssl ca"}},
	{"nocache-token", "with auth-nocache each renewal sends the user's name with the token, and nobody is asked", "interop_credentials_test.go", "TestLifeOfCredentials", []string{"token, nocache"}},
	{"tls-cipher-dhe", "a list without a suite of ours is a warning while TLS 1.3 is there", "interop_certificates_test.go", "TestFilesOfTheWorld", []string{"suites of TLS 1.2 that only stock has", "list of suites "}},
	{"tls-cipher-dhe, alone", "and fatal where there is no TLS 1.3", "../daemon/tlsconf/suites_test.go", "TestCipherLists", nil},
	{"ccd-slash", "the file of bob/host is bob_host, and nobody is let in past it", "interop_server_ccdname_test.go", "TestServerFindsFilesByName", []string{"bob/host"}},
	{"strict-names", "characters that a string type does not have refuse nobody, authorities included", "interop_certificates_test.go", "TestFilesOfTheWorld", []string{"strict-names", "authority with an underscore"}},
	{"sha1-insecure", "tls-cert-profile insecure takes signatures with SHA-1", "interop_certificates_test.go", "TestFilesOfTheWorld", []string{"SHA-1"}},
	{"renewed-ca", "names of different string types compare equal", "interop_certificates_test.go", "TestFilesOfTheWorld", []string{"renewed authority"}},
	{"encrypted-keys", "what can be opened is; other forms are named and end the daemon", "../daemon/tlsconf/key_forms_test.go", "TestEncryptedForms", nil},
	{"encrypted-keys, BER", "so are bundles of indefinite length", "../daemon/tlsconf/bundles_ber_test.go", "TestBundlesOfBER", nil},
	{"pem-bom", "a byte order mark in front of a PEM file is nothing", "interop_certificates_test.go", "TestFilesOfTheWorld", []string{"byte order marks", "key of tls-auth with a byte order mark"}},
	{"missing-log-dir", "a warning, and the log goes where it went", "interop_logfile_test.go", "TestLogIntoAMissingFolder", nil},
	{"log-rotation", "no NUL bytes after a truncation, and the file is opened anew", "interop_logfile_test.go", "TestLogRotation", nil},
	{"ipv6-disabled, client", "said in words, and on with IPv4", "interop_no_ipv6_test.go", "TestClientWithIPv6Disabled", nil},
	{"ipv6-disabled, server", "said in words, and on with IPv4", "interop_no_ipv6_test.go", "TestServerWithIPv6Disabled", nil},
	{"san-only", "an option gives a certificate without a name one of its alternative names", "interop_certificates_test.go", "TestFilesOfTheWorld", []string{"name from an alternative name"}},
	{"reload-bad-crl", "a reload that cannot read its list changes nothing", "interop_reload_test.go", "TestReloadRefusesWhatItCannotRead", []string{"crl.pem"}},
	{"restart-newcomers", "a server that leaves answers no opening packet", "interop_server_restart_test.go", "TestServerRestartsUnderClients", nil},
	{"persist-key-nobody", "with persist-key every key file that was read at the start stays in memory", "interop_persist_key_test.go", "TestPersistKeyAsNobody", nil},
	{"nopool-with-pool", "nopool leaves the pool to ifconfig-pool", "../daemon/config/kinds_test.go", "TestMacroConflictsAreStocks", []string{"nopool"}},
	{"signal-exit-notify", "clients hear RESTART before a SIGUSR1 drops them", "interop_server_clients_test.go", "TestServerSignals", []string{"USR1 with notice"}},
	{"route-ipv6-env", "redirect-gateway ipv6 sets the variables of its routes", "interop_route_env_test.go", "TestRouteVariablesLikeStock", nil},
	{"push-v4-drops-v6", "a client with a fixed IPv4 address has an IPv6 address of the pool", "interop_server_fixed_test.go", "TestServerFixedAddressOfOneFamily", nil},
	{"status-empty-first-minute", "the status file is written at the start", "interop_status_first_test.go", "TestStatusFileFromTheStart", nil},
	{"check-loses-the-reason", "check says what is wrong", "../cmd/moongate/testdata/script/daemon.txtar", "", []string{"error: --up script fails with"}},
	{"notices-stock-does-not-give", "notices about the file are not given about pushed options", "interop_pushed_test.go", "TestPushedLikeStock", []string{"tun-ipv6", "ping alone"}},
}

// Each case is played: its test and its rows are there.
func TestCasesArePlayed(t *testing.T) {
	seen := make(map[string]bool)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if seen[c.name] || c.right == "" {
				t.Error("twice in the table, or without what is right")
			}
			seen[c.name] = true
			text, err := os.ReadFile(filepath.FromSlash(c.file))
			if err != nil {
				t.Fatal(err)
			}
			if c.test != "" && !strings.Contains(string(text), "\nfunc "+c.test+"(t *testing.T) {") {
				t.Errorf("%s has no %s", c.file, c.test)
			}
			for _, row := range c.rows {
				if !strings.Contains(string(text), row) {
					t.Errorf("%s has no %q", c.file, row)
				}
			}
		})
	}
}
