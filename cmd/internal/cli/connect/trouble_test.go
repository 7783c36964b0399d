package connect

import (
	"errors"
	"strings"
	"testing"
)

// Lines of the log of moongate and of stock lead to what a person is told; other lines to nothing.
func TestExplain(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string // the beginning, "" for nothing
		kind error
	}{
		{"WARNING: Your certificate has expired!", "the certificate of this profile has expired", errRefused},
		{"WARNING: Your certificate is not yet valid!", "the certificate of this profile is not valid yet", errRefused},
		{"VERIFY ERROR: depth=0, error=certificate has expired: CN=server, serial=2", "the certificate of the server, or of its authority, has expired", errRefused},
		{"VERIFY ERROR: depth=0, error=certificate is not yet valid: CN=server", "the server's certificate is not valid yet", errRefused},
		{"VERIFY ERROR: depth=0, error=certificate revoked: CN=server", "the server's certificate is revoked", errRefused},
		{"VERIFY ERROR: depth=0, error=unable to get local issuer certificate: CN=server", "the server's certificate is not from the authority", errRefused},
		{"VERIFY KU ERROR", "the certificate that answers is not that of a server", errRefused},
		{"VERIFY EKU ERROR", "the certificate that answers is not that of a server", errRefused},
		{"VERIFY X509NAME ERROR: CN=other, must be server", "the server has another name", errRefused},
		{"OpenSSL: error:0A000415:SSL routines::sslv3 alert certificate expired", "the server refuses the certificate of this profile, which has expired", errRefused},
		{"OpenSSL: error: remote error: tls: expired certificate", "the server refuses the certificate of this profile, which has expired", errRefused},
		{"OpenSSL: error:0A000414:SSL routines::sslv3 alert certificate revoked", "the server refuses the certificate of this profile, which is revoked", errRefused},
		{"OpenSSL: error: remote error: tls: revoked certificate", "the server refuses the certificate of this profile, which is revoked", errRefused},
		{"OpenSSL: error:0A000418:SSL routines::tlsv1 alert unknown ca", "the server does not know the authority", errRefused},
		{"OpenSSL: error: remote error: tls: unknown certificate authority", "the server does not know the authority", errRefused},
		{"ERROR: Cannot open TUN/TAP dev /dev/net/tun: No such file or directory (errno=2)", "the tunnel device cannot be opened", errMachine},
		{"ERROR: Cannot ioctl TUNSETIFF tun0: Operation not permitted (errno=1)", "the tunnel device cannot be opened", errMachine},
		{"RESOLVE: Cannot resolve host address: vpn.example.com:1194 (Name or service not known)", "the name of the server is not known", nil},
		{"TCP: connect to [AF_INET]192.0.2.1:443 failed: Connection refused", "nothing listens", nil},
		{"write UDPv4: Network is unreachable (fd=3,code=101)", "there is no way to the server", nil},
		{"TCP: connect to [AF_INET]192.0.2.1:443 failed: No route to host", "there is no way to the server", nil},
		{"TLS Error: cannot locate HMAC in incoming packet from [AF_INET]192.0.2.1:1194", "what answers is not signed", nil},
		{"tls-crypt unwrap error: packet authentication failed", "what answers is not signed", nil},
		{"VERIFY OK: depth=0, CN=server", "", nil},
		{"a peer's certificate has expired", "", nil}, // not of ours, and not verified
		{"Initialization Sequence Completed", "", nil},
	} {
		got, ok := explain(tt.line)
		if ok != (tt.want != "") || !strings.HasPrefix(got.text, tt.want) || !errors.Is(got.kind, tt.kind) {
			t.Errorf("%s:\n%q (%v, %v), want %q (%v)", tt.line, got.text, got.kind, ok, tt.want, tt.kind)
		}
	}
}
