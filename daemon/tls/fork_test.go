package tls

import (
	"bytes"
	"flag"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the fork anew from the toolchain's crypto/tls")

// forked are the files taken from $GOROOT/src/crypto, and where they go.
var forked = map[string]string{
	"tls/alert.go": "", "tls/auth.go": "", "tls/cache.go": "", "tls/cipher_suites.go": "", "tls/common.go": "", "tls/common_string.go": "",
	"tls/conn.go": "", "tls/defaults.go": "", "tls/defaults_fips140.go": "", "tls/ech.go": "", "tls/handshake_client.go": "",
	"tls/handshake_client_tls13.go": "", "tls/handshake_messages.go": "", "tls/handshake_server.go": "", "tls/handshake_server_tls13.go": "",
	"tls/key_agreement.go": "", "tls/key_schedule.go": "", "tls/prf.go": "", "tls/quic.go": "", "tls/ticket.go": "", "tls/tls.go": "",
	"internal/fips140/tls13/tls13.go": "internal/tls13",
}

const here = "github.com/moongate-vpn/moongate/daemon/tls/internal/"

// imports are packages that only the standard library may import, and what stands in for each. Every file is searched for them.
var imports = strings.NewReplacer(
	"\t\"crypto/internal/boring\"\n", "",
	"\tfipsaes \"crypto/internal/fips140/aes\"\n", "",
	"\t\"crypto/internal/fips140/aes/gcm\"\n", "",
	`"crypto/internal/fips140/tls12"`, `"`+here+`tls12"`,
	`"crypto/internal/fips140/tls13"`, `"`+here+`tls13"`,
	`"crypto/tls/internal/fips140tls"`, `"`+here+`fips140tls"`,
	`"internal/godebug"`, `"`+here+`godebug"`,
	`"internal/cpu"`, `"golang.org/x/sys/cpu"`,
	`"internal/byteorder"`, `"encoding/binary"`,
	`"crypto/internal/fips140deps/byteorder"`, `"encoding/binary"`,
	`"crypto/internal/fips140/hkdf"`, `"crypto/hkdf"`,
	"\t_ \"unsafe\" // for linkname\n", "",
)

// edit replaces old, which the file holds exactly once, by new.
type edit struct{ file, old, new string }

// plumbing does with public packages what upstream does with internal ones.
var plumbing = []edit{
	{"cipher_suites.go", "\tif boring.Enabled {\n\t\taead, err = boring.NewGCMTLS(aes)\n\t} else {\n\t\tboring.Unreachable()\n\t\taead, err = gcm.NewGCMForTLS12(aes.(*fipsaes.Block))\n\t}\n", "\taead, err = cipher.NewGCM(aes)\n"},
	{"cipher_suites.go", "\tif boring.Enabled {\n\t\taead, err = boring.NewGCMTLS13(aes)\n\t} else {\n\t\tboring.Unreachable()\n\t\taead, err = gcm.NewGCMForTLS13(aes.(*fipsaes.Block))\n\t}\n", "\taead, err = cipher.NewGCM(aes)\n"},
	{"cipher_suites.go", "\tif !boring.Enabled {\n\t\th = newConstantTimeHash(h)\n\t}\n", "\th = newConstantTimeHash(h)\n"},
	{"cipher_suites.go", "\tboring.Unreachable()\n\treturn func", "\treturn func"},
	{"cipher_suites.go", "//go:linkname cipherSuitesTLS13\n", ""},
	{"cipher_suites.go", "//go:linkname aeadAESGCMTLS13\n", ""},
	{"common.go", "//go:linkname errNoCertificates\n", ""},
	{"defaults.go", "//go:linkname defaultCipherSuitesTLS13\n", ""},
	{"defaults.go", "//go:linkname defaultCipherSuitesTLS13NoAES\n", ""},
	{"handshake_server_tls13.go", "byteorder.LEUint32(", "binary.LittleEndian.Uint32("},
	{"tls13.go", "\thkdfLabel = byteorder.BEAppendUint16(", "\thkdfLabel = binary.BigEndian.AppendUint16("},
	{"tls13.go", "\treturn hkdf.Expand(hash, secret, string(hkdfLabel), length)", "\treturn must(hkdf.Expand(hash, secret, string(hkdfLabel), length))"},
	{"tls13.go", "\treturn hkdf.Extract(hash, newSecret, currentSecret)", "\treturn must(hkdf.Extract(hash, newSecret, currentSecret))"},
}

// changes are what the fork is for. docs/decisions/0041 gives the reasons.
var changes = []edit{
	// Certificates are read by daemon/certs, which refuses less.
	{"cache.go", "\tcert, err := x509.ParseCertificate(der)\n", "\tcert, err := parseCertificate(der)\n"},
	{"handshake_server.go", "if certs[i], err = x509.ParseCertificate(asn1Data); err != nil {", "if certs[i], err = parseCertificate(asn1Data); err != nil {"},
	{"common.go", "if x509Cert, err = x509.ParseCertificate(cert); err != nil {", "if x509Cert, err = parseCertificate(cert); err != nil {"},
	{"common.go", "\treturn x509.ParseCertificate(c.Certificate[0])\n", "\treturn parseCertificate(c.Certificate[0])\n"},
	// No extension restricts how certificates are signed: OpenSSL, which sends none itself, keeps a certificate back that the list lacks, and daemon/certs reads more.
	{"common.go", "\tsigAlgs := defaultSupportedSignatureAlgorithms()\n\treturn slices.DeleteFunc(sigAlgs, func(s SignatureScheme) bool {\n\t\treturn isDisabledSignatureAlgorithm(0, s, true)\n\t})\n", "\treturn nil\n"},
	// The suites of TLS 1.3 can be chosen, and AES-256 comes first.
	{"common.go", "\tCipherSuites []uint16\n\n\t// PreferServer", "\tCipherSuites []uint16\n\n\t// CipherSuitesTLS13 are the TLS 1.3 cipher suites that may be used, in\n\t// order of preference. If nil, a default list is used.\n\tCipherSuitesTLS13 []uint16\n\n\t// PreferServer"},
	{"common.go", "\t\tCipherSuites:                        c.CipherSuites,\n", "\t\tCipherSuites:                        c.CipherSuites,\n\t\tCipherSuitesTLS13:                   c.CipherSuitesTLS13,\n"},
	{"handshake_client.go", "\t\t} else if hasAESGCMHardwareSupport {\n\t\t\thello.cipherSuites = append(hello.cipherSuites, default", "\t\t} else if config.CipherSuitesTLS13 != nil {\n\t\t\thello.cipherSuites = append(hello.cipherSuites, config.CipherSuitesTLS13...)\n\t\t} else if hasAESGCMHardwareSupport {\n\t\t\thello.cipherSuites = append(hello.cipherSuites, default"},
	{"handshake_server_tls13.go", "\tif fips140tls.Required() {\n\t\tpreferenceList = allowed", "\tif c.config.CipherSuitesTLS13 != nil {\n\t\tpreferenceList = c.config.CipherSuitesTLS13\n\t}\n\tif fips140tls.Required() {\n\t\tpreferenceList = allowed"},
	{"defaults.go", "\tTLS_AES_128_GCM_SHA256,\n\tTLS_AES_256_GCM_SHA384,\n\tTLS_CHACHA20_POLY1305_SHA256,\n", "\tTLS_AES_256_GCM_SHA384,\n\tTLS_CHACHA20_POLY1305_SHA256,\n\tTLS_AES_128_GCM_SHA256,\n"},
}

// The fork is the toolchain's crypto/tls with the edits above and nothing else, so that a fix of the standard library comes in
// with the toolchain and `go test ./daemon/tls -run Fork -update`.
func TestFork(t *testing.T) {
	if v := runtime.Version(); v != Version && !*update {
		t.Skipf("the fork is made from %s, this is %s: if its crypto/tls has changed, run go test ./daemon/tls -run Fork -update", Version, v)
	}
	if *update && runtime.Version() != Version {
		t.Errorf("set Version in fork.go to %s", runtime.Version())
	}
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(strings.TrimSpace(string(root)), "src", "crypto")
	done := make(map[edit]bool)
	for name, dir := range forked {
		text, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			t.Fatal(err)
		}
		base := filepath.Base(name)
		want := imports.Replace(string(text))
		for _, e := range append(plumbing[:len(plumbing):len(plumbing)], changes...) {
			if e.file != base {
				continue
			}
			if n := strings.Count(want, e.old); n != 1 {
				t.Errorf("%s holds %q %d times: crypto/tls has changed, look at the edit again", base, e.old, n)
			}
			want, done[e] = strings.Replace(want, e.old, e.new, 1), true
		}
		code, err := format.Source([]byte(want))
		if err != nil {
			t.Fatalf("%s: %v", base, err)
		}
		path := filepath.Join(dir, base)
		if *update {
			if err := os.WriteFile(path, code, 0o644); err != nil { //nolint:gosec // source text
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, code) {
			t.Errorf("%s is not what the edits make of %s (%v): run go test ./daemon/tls -run Fork -update", path, name, err)
		}
	}
	if n := len(plumbing) + len(changes); len(done) != n {
		t.Errorf("%d of %d edits belong to no file", n-len(done), n)
	}
}
