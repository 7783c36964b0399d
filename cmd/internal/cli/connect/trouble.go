package connect

import (
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
)

// Kinds of trouble that no further attempt mends.
var (
	errRefused = errors.New("refused")       // one side refuses the other
	errMachine = errors.New("machine")       // this machine cannot make the tunnel
	errThere   = errors.New("already there") // the name is in use
)

// cause is trouble in words that a person can act on. Without a kind it may pass.
type cause struct {
	text string // {server} stands for the server's address
	kind error
	soon time.Duration // the longest wait for the tunnel with this trouble, 0 for --timeout
}

// Error is the text.
func (c cause) Error() string { return c.text }

// ExitCode implements env.Exiter.
func (c cause) ExitCode() int {
	switch c.kind {
	case errMachine:
		return env.CodeDaemon
	case errThere:
		return env.CodeCondition
	}
	return env.CodeRefused
}

const (
	newProfile = "ask the operator of the VPN for a new profile"
	checkClock = "check the clock of this machine"
)

// causes are texts of the log of moongate and stock OpenVPN, and of the peer's TLS alerts, and what they mean: the first row that fits counts.
// $1 and so on stand for the groups.
var causes = []struct {
	line  string
	cause cause
}{
	{`Your certificate has expired`, cause{"the certificate of this profile has expired: " + newProfile, errRefused, 10 * time.Second}},
	{`Your certificate is not yet valid`, cause{"the certificate of this profile is not valid yet: " + checkClock, errRefused, 10 * time.Second}},
	{`VERIFY ERROR.*certificate has expired`, cause{text: "the certificate of the server, or of its authority, has expired: tell the operator of the VPN, and " + checkClock, kind: errRefused}},
	{`VERIFY ERROR.*not yet valid`, cause{text: "the server's certificate is not valid yet: " + checkClock, kind: errRefused}},
	{`VERIFY ERROR.*revoked`, cause{text: "the server's certificate is revoked: do not connect, and tell the operator of the VPN", kind: errRefused}},
	{`VERIFY ERROR.*CRL`, cause{text: "the revocation list of this profile (crl-verify) is out of date or of another authority: get a new one from the operator of the VPN", kind: errRefused}},
	{`VERIFY ERROR`, cause{text: "the server's certificate is not from the authority of this profile: the profile is old, or another machine answers; ask the operator of the VPN", kind: errRefused}},
	{`VERIFY E?KU ERROR|VERIFY nsCertType ERROR`, cause{text: "the certificate that answers is not that of a server (remote-cert-tls): ask the operator of the VPN", kind: errRefused}},
	{`VERIFY X509NAME ERROR: (.*), must be (.*)`, cause{text: "the server is $1 and not $2 as the profile wants (verify-x509-name): ask the operator of the VPN", kind: errRefused}},
	{`alert certificate expired|tls: expired certificate`, cause{text: "the server refuses the certificate of this profile, which has expired: " + newProfile, kind: errRefused}},
	{`alert certificate revoked|tls: revoked certificate`, cause{text: "the server refuses the certificate of this profile, which is revoked: ask the operator of the VPN", kind: errRefused}},
	{`alert unknown ca|tls: unknown certificate authority`, cause{text: "the server does not know the authority of this profile's certificate: " + newProfile, kind: errRefused}},
	{`alert bad certificate|tls: bad certificate|tls: unknown certificate\b|alert certificate unknown|alert unsupported certificate`, cause{text: "the server refuses the certificate of this profile: " + newProfile, kind: errRefused}},
	{`tls: certificate required|handshake failure.*certificate`, cause{text: "the server wants a certificate, and this profile has none: " + newProfile, kind: errRefused}},
	{`alert protocol version|tls: protocol version not supported|unsupported protocol|server selected unsupported protocol`, cause{text: "the server and this profile have no TLS version in common (tls-version-min, tls-version-max): ask the operator of the VPN", kind: errRefused}},
	{`alert handshake failure|tls: handshake failure|no shared cipher|no cipher suite supported`, cause{text: "the server and this profile have no cipher or curve in common (data-ciphers, tls-cipher, tls-groups): " + newProfile, kind: errRefused}},
	{`TUN/TAP dev.*: No such (?:file|device)`, cause{text: "this machine has no tunnel devices: load the module tun (modprobe tun), or give the container /dev/net/tun", kind: errMachine}},
	{`TUNSETIFF (\S+): Invalid argument`, cause{text: "$1 cannot be the name of a tunnel device: choose another with dev in the profile, 15 letters at most", kind: errMachine}},
	{`TUNSETIFF (\S+): Device or resource busy`, cause{text: "another program uses the tunnel device $1: choose another with dev in the profile", kind: errMachine}},
	{`Cannot open TUN/TAP dev|Cannot ioctl TUNSETIFF`, cause{text: "the tunnel device cannot be opened: run it as root (sudo), with the module tun loaded", kind: errMachine}},
	{`Socket bind failed on local address \[AF_INET6?\](\S+): Cannot assign`, cause{text: "this machine does not have the address $1 of the profile (local)", kind: errMachine}},
	{`Socket bind failed on local address \[AF_INET6?\](\S+): Address already in use`, cause{text: "another program, perhaps another tunnel, uses the port $1: put nobind into the profile", kind: errMachine}},
	{`RESOLVE: Cannot resolve host address: (.*):(\S+) \(Servname`, cause{text: "$2 is no port, in the remote line of $1 in the profile", kind: errMachine}},
	{`RESOLVE: Cannot resolve host address: (.*):\d+ \((.*)\)`, cause{text: "the name $1 is not found ($2): check the network of this machine and the remote lines of the profile"}},
	{`RESOLVE: Cannot resolve host address: (\S*)`, cause{text: "the name $1 is not found: check the network of this machine and the remote lines of the profile"}},
	{`connect to \[AF_INET6?\](\S+) failed: Connection refused`, cause{text: "nothing listens at $1: check port and protocol in the profile, and ask the operator of the VPN if the server runs"}},
	{`Connection refused`, cause{text: "nothing listens at {server}: check port and protocol in the profile, and ask the operator of the VPN if the server runs"}},
	{`Network is unreachable|No route to host`, cause{text: "there is no way to {server}: check the network of this machine"}},
	{`Permission denied \((?:fd|errno)=?|Operation not permitted.*code=1\)`, cause{text: "this machine does not let packets to {server} out: check its firewall"}},
	{`cannot locate HMAC|tls-crypt unwrap error|packet HMAC authentication failed`, cause{text: "what answers at {server} is not signed with the key of this profile (tls-auth, tls-crypt): " + newProfile}},
	{`HTTP proxy: no support for proxy authentication method|returned bad status: '?HTTP/\S+ 407`, cause{text: "the HTTP proxy wants a user name and a password: put FILE with the two, or stdin to be asked, behind its port in the profile", kind: errRefused}},
	{`HTTP proxy returned bad status: '?HTTP/\S+ 401`, cause{text: "the HTTP proxy does not take the user name and password"}},
	{`HTTP proxy returned bad status: '?HTTP/\S+ (.*?)'?$`, cause{text: "the HTTP proxy does not reach the server ($1): check the remote lines of the profile, and ask the operator of the proxy"}},
	{`Socks proxy returned unexpected auth`, cause{text: "the SOCKS proxy wants a user name and a password: put FILE with the two, or stdin to be asked, behind its port in the profile", kind: errRefused}},
	{`Socks proxy returned bad reply|SOCKS proxy: .*fail`, cause{text: "the SOCKS proxy does not reach the server: check the remote lines of the profile, and ask the operator of the proxy"}},
	{`connect-retry-max \((\d+)\) times unsuccessful`, cause{text: "no connection after $1 attempts (connect-retry-max)"}},
}

// causeLines are compiled by the first that needs them: most commands do not.
var causeLines = sync.OnceValue(func() (all []*regexp.Regexp) {
	for _, c := range causes {
		all = append(all, regexp.MustCompile(c.line))
	}
	return all
})

// explain finds the trouble that a line of the log tells.
func explain(line string) (cause, bool) {
	for i, re := range causeLines() {
		if m := re.FindStringSubmatchIndex(line); m != nil {
			c := causes[i].cause
			c.text = env.Clean(string(re.ExpandString(nil, c.text, line, m)))
			return c, true
		}
	}
	return cause{}, false
}

// stages are the states of a login.
var stages = map[string]bool{mgmt.StateAuth: true, mgmt.StateGetConfig: true, mgmt.StateAuthPending: true, mgmt.StateAssignIP: true, mgmt.StateAddRoutes: true}

// broken tells why an attempt or a tunnel ended, from the state in which it did and the reason that the daemon gives.
func broken(at, reason string) cause {
	switch {
	case reason == mgmt.ReasonConnectionReset && stages[at]:
		return cause{text: "{server} ends the connection during the login: it may not accept the certificate of this profile; ask the operator of the VPN"}
	case reason == mgmt.ReasonConnectionReset && at == mgmt.StateWait:
		return cause{text: "{server} ends the connection at once: it may be no VPN server, or want another tls-auth or tls-crypt key than this profile's"}
	case reason == mgmt.ReasonTLSError && at == mgmt.StateWait, reason == mgmt.ReasonServerPoll:
		return silent
	case reason == mgmt.ReasonServerHalt:
		return cause{text: "the server ended the connection for good: ask the operator of the VPN", kind: errRefused}
	}
	if text := reasons[reason]; text != "" {
		return cause{text: text}
	}
	return cause{text: "the connection ended (" + env.Clean(reason) + ")"}
}

// reasons are those of the daemon for a person.
var reasons = map[string]string{
	mgmt.ReasonConnectionReset:  "{server} ended the connection",
	mgmt.ReasonConnectionFailed: "no connection to {server}: check the network of this machine",
	mgmt.ReasonUnreachable:      "there is no way to {server}: check the network of this machine",
	mgmt.ReasonPingRestart:      "{server} is silent",
	mgmt.ReasonPingExit:         "{server} is silent",
	mgmt.ReasonTLSError:         "{server} and this machine cannot agree on a secure connection (TLS); moongate check FILE may tell why, or the operator of the VPN",
	mgmt.ReasonHTTPProxy:        "the HTTP proxy does not let us through: ask its operator",
	mgmt.ReasonSOCKS:            "the SOCKS proxy does not let us through: ask its operator",
	mgmt.ReasonSOCKSResolve:     "the SOCKS proxy does not know the name of the server: check the remote lines of the profile",
	mgmt.ReasonNoPushReply:      "the login is done and {server} sends no settings: ask the operator of the VPN",
	mgmt.ReasonPushFailed:       "this machine cannot use the settings that {server} sends: tell the operator of the VPN",
	mgmt.ReasonPushOffending:    "this machine cannot use the settings that {server} sends: tell the operator of the VPN",
	mgmt.ReasonServerReset:      "{server} starts again and asks us to come back",
	mgmt.ReasonRemoteExit:       "{server} ended the connection",
	mgmt.ReasonInactive:         "the tunnel was not used for the time that the profile or the server allows (inactive)",
	mgmt.ReasonSessionTimeout:   "the time that the profile or the server allows for a session is over (session-timeout)",
	mgmt.ReasonNetworkChange:    "this machine is in another network",
	mgmt.ReasonAuthToken:        "the server does not take the token of the session any more",
	mgmt.SIGTERM:                "another program ended the connection (moongate disconnect, or a signal)",
	mgmt.SIGINT:                 "another program ended the connection (a signal)",
	mgmt.SIGUSR1:                "another program wants the connection made anew",
	mgmt.SIGHUP:                 "another program wants the profile read again",
}

// silent is a server that does not answer.
var silent = cause{text: "no answer from {server}: check the network of this machine and its way out for this port; the server may be down, or want another " +
	"tls-auth or tls-crypt key than this profile's, and is silent then"}

// late is the error when the tunnel did not come in time.
func (s *session) late() error {
	if s.cause.kind != nil {
		return s.cause
	}
	text := s.cause.text
	switch {
	case text != "":
	case s.state.Name == mgmt.StateAuthPending:
		text = "the login was not completed; run it again"
	case s.state.Name == mgmt.StateGetConfig:
		text = reasons[mgmt.ReasonNoPushReply]
	case s.answered && (s.state.Name == mgmt.StateAssignIP || s.state.Name == mgmt.StateAddRoutes):
		text = "{server} lets us in, and addresses, routes or scripts of the tunnel take longer: try a larger --timeout"
	case s.answered:
		text = "{server} answers and does not let us in: it may not accept the certificate of this profile; ask the operator of the VPN"
	case s.state.Name == mgmt.StateResolve:
		text = "the name of the server is not found: check the network of this machine"
	case s.state.Name == mgmt.StateTCPConnect:
		text = "no answer from {server}: check the network of this machine and its way out for this port, and ask the operator of the VPN if the server runs"
	default:
		text = silent.text
	}
	return s.o.late(s.fill(text))
}

// ended is the error of a daemon that went: nil when it was told to.
func (s *session) ended(err error) error {
	reason := ""
	if s.state.Name == mgmt.StateExiting {
		reason = s.state.Detail
	}
	switch {
	case s.cause.kind != nil:
		return s.cause
	case s.connected && (reason == mgmt.SIGTERM || reason == mgmt.SIGINT || reason == mgmt.ReasonExitNotification):
		return nil
	case s.fresh:
		return fmt.Errorf("%s: %w", s.cause.text, err)
	case reason == "":
		return &lostError{err}
	}
	c := broken(s.before.Name, reason)
	if c.text = s.fill(c.text); c.kind != nil {
		return c
	}
	return fmt.Errorf("%s: %w", c.text, err)
}

// lostError is the loss of a daemon that told nothing.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }
