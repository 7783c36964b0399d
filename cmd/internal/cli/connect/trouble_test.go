package connect

import (
	"errors"
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/mgmt"
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
		{"VERIFY ERROR: depth=0, error=CRL has expired: CN=server", "the revocation list of this profile", errRefused},
		{"VERIFY ERROR: depth=0, error=unable to get local issuer certificate: CN=server", "the server's certificate is not from the authority", errRefused},
		{"VERIFY KU ERROR", "the certificate that answers is not that of a server", errRefused},
		{"VERIFY EKU ERROR", "the certificate that answers is not that of a server", errRefused},
		{"VERIFY nsCertType ERROR: CN=x, require nsCertType=SERVER", "the certificate that answers is not that of a server", errRefused},
		{"VERIFY X509NAME ERROR: CN=other, must be server", "the server is CN=other and not server as the profile wants", errRefused},
		{"OpenSSL: error:0A000415:SSL routines::sslv3 alert certificate expired", "the server refuses the certificate of this profile, which has expired", errRefused},
		{"OpenSSL: error: remote error: tls: expired certificate", "the server refuses the certificate of this profile, which has expired", errRefused},
		{"OpenSSL: error:0A000414:SSL routines::sslv3 alert certificate revoked", "the server refuses the certificate of this profile, which is revoked", errRefused},
		{"OpenSSL: error: remote error: tls: revoked certificate", "the server refuses the certificate of this profile, which is revoked", errRefused},
		{"OpenSSL: error:0A000418:SSL routines::tlsv1 alert unknown ca", "the server does not know the authority", errRefused},
		{"OpenSSL: error: remote error: tls: unknown certificate authority", "the server does not know the authority", errRefused},
		{"OpenSSL: error: remote error: tls: bad certificate", "the server refuses the certificate of this profile", errRefused},
		{"OpenSSL: error: remote error: tls: unknown certificate", "the server refuses the certificate of this profile", errRefused},
		{"OpenSSL: error: remote error: tls: certificate required", "the server wants a certificate", errRefused},
		{"OpenSSL: error: remote error: tls: protocol version not supported", "the server and this profile have no TLS version in common", errRefused},
		{"OpenSSL: error: TLS handshake: tls: server selected unsupported protocol version 302", "the server and this profile have no TLS version in common", errRefused},
		{"OpenSSL: error: remote error: tls: handshake failure", "the server and this profile have no cipher", errRefused},
		{"AUTH: Received control message: AUTH_FAILED,Data channel cipher negotiation failed (no shared cipher)", "the server and this profile have no cipher", errRefused},
		{"ERROR: Cannot open TUN/TAP dev /dev/net/tun: No such file or directory (errno=2)", "this machine has no tunnel devices", errMachine},
		{"ERROR: Cannot open TUN/TAP dev /dev/net/tun: Permission denied (errno=13)", "the tunnel device cannot be opened: run it as root", errMachine},
		{"ERROR: Cannot ioctl TUNSETIFF averyveryverylongname: Invalid argument (errno=22)", "averyveryverylongname cannot be the name", errMachine},
		{"ERROR: Cannot ioctl TUNSETIFF tun0: Device or resource busy (errno=16)", "another program uses the tunnel device tun0", errMachine},
		{"TCP/UDP: Socket bind failed on local address [AF_INET]192.0.2.5:53: Cannot assign requested address (errno=99)", "this machine does not have the address 192.0.2.5:53", errMachine},
		{"TCP/UDP: Socket bind failed on local address [AF_INET][undef]:1194: Address already in use (errno=98)", "another program, perhaps another tunnel, uses the port", errMachine},
		{"RESOLVE: Cannot resolve host address: 10.0.0.1:99999 (Servname not supported for ai_socktype)", "99999 is no port, in the remote line of 10.0.0.1", errMachine},
		{"ERROR: Cannot ioctl TUNSETIFF tun0: Operation not permitted (errno=1)", "the tunnel device cannot be opened", errMachine},
		{"RESOLVE: Cannot resolve host address: vpn.example.com:1194 (Name or service not known)", "the name vpn.example.com is not found (Name or service not known)", nil},
		{"RESOLVE: Cannot resolve host address: vpn\x1b[31m.example.com:1194 (no)", "the name vpn\ufffd[31m.example.com is not found", nil},
		{"TCP: connect to [AF_INET]192.0.2.1:443 failed: Connection refused", "nothing listens at 192.0.2.1:443", nil},
		{"TCP: connect to [AF_INET6]2001:db8::1:443 failed: Connection refused", "nothing listens at 2001:db8::1:443", nil},
		{"read UDPv4 [ECONNREFUSED]: Connection refused (fd=3,code=111)", "nothing listens at {server}", nil},
		{"write UDPv4: Network is unreachable (fd=3,code=101)", "there is no way to {server}", nil},
		{"TCP: connect to [AF_INET]192.0.2.1:443 failed: No route to host", "there is no way to {server}", nil},
		{"write UDPv4: Operation not permitted (fd=3,code=1)", "this machine does not let packets", nil},
		{"TLS Error: cannot locate HMAC in incoming packet from [AF_INET]192.0.2.1:1194", "what answers at {server} is not signed", nil},
		{"tls-crypt unwrap error: packet authentication failed", "what answers at {server} is not signed", nil},
		{"HTTP proxy: no support for proxy authentication method", "the HTTP proxy wants a user name", errRefused},
		{"HTTP proxy returned bad status: 'HTTP/1.1 407 Proxy Authentication Required'", "the HTTP proxy wants a user name", errRefused},
		{"HTTP proxy returned bad status: 'HTTP/1.0 401 Unauthorized'", "the HTTP proxy does not take the user name", nil},
		{"HTTP proxy returned bad status: 'HTTP/1.0 500 Unable to connect'", "the HTTP proxy does not reach the server (500 Unable to connect)", nil},
		{"socks_handshake: Socks proxy returned unexpected auth (255)", "the SOCKS proxy wants a user name", errRefused},
		{"All connections have been connect-retry-max (2) times unsuccessful, exiting", "no connection after 2 attempts", nil},
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

// The end of an attempt depends on how far it came.
func TestBroken(t *testing.T) {
	for _, tt := range []struct {
		at, reason string
		want       string // a part
	}{
		{mgmt.StateWait, mgmt.ReasonConnectionReset, "no VPN server, or want another"},
		{mgmt.StateAuth, mgmt.ReasonConnectionReset, "may not accept the certificate"},
		{mgmt.StateConnected, mgmt.ReasonConnectionReset, "{server} ended the connection"},
		{mgmt.StateWait, mgmt.ReasonTLSError, "no answer from {server}"},
		{mgmt.StateAuth, mgmt.ReasonTLSError, "cannot agree on a secure connection"},
		{mgmt.StateWait, mgmt.ReasonServerPoll, "no answer from {server}"},
		{mgmt.StateConnected, mgmt.ReasonPingRestart, "{server} is silent"},
		{mgmt.StateConnected, mgmt.ReasonServerHalt, "for good"},
		{mgmt.StateConnected, "of\x1btomorrow", "the connection ended (of\ufffdtomorrow)"},
	} {
		if got := broken(tt.at, tt.reason); !strings.Contains(got.text, tt.want) {
			t.Errorf("%s in %s: %q, want %q", tt.reason, tt.at, got.text, tt.want)
		}
	}
}

func TestReasonOf(t *testing.T) {
	for _, tt := range []struct {
		reason, want string
		passing      bool
	}{
		{"", "", false},
		{"locked", " (locked)", false},
		{"TEMP", "", true},
		{"TEMP[backoff 42,advance no]:try later", " (try later)", true},
		{"TEMP:busy", " (busy)", true},
		{"SESSION: token expired", " (token expired)", false},
	} {
		if got, passing := reasonOf(tt.reason); got != tt.want || passing != tt.passing {
			t.Errorf("%q: %q, %v", tt.reason, got, passing)
		}
	}
}
