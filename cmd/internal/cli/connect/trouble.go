package connect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt"
)

// Kinds of trouble that no further attempt mends.
var (
	errRefused = errors.New("refused") // one side refuses the other
	errMachine = errors.New("machine") // this machine cannot make the tunnel
)

// cause is trouble in words that a person can act on. Without a kind it may pass.
type cause struct {
	text string
	kind error
	soon time.Duration // the longest wait for the tunnel with this trouble, 0 for --timeout
}

// Error is the text.
func (c cause) Error() string { return c.text }

// ExitCode implements env.Exiter.
func (c cause) ExitCode() int {
	if c.kind == errMachine {
		return env.CodeDaemon
	}
	return env.CodeRefused
}

// causes are texts of the log of moongate and stock OpenVPN, and of the peer's TLS alerts, and what they mean. One of the texts has to be
// in a line, and the words of in; the first row that fits counts.
var causes = []struct {
	in    string
	texts []string
	cause cause
}{
	{"", []string{"Your certificate has expired"}, cause{"the certificate of this profile has expired: ask the operator of the VPN for a new profile", errRefused, 10 * time.Second}},
	{"", []string{"Your certificate is not yet valid"}, cause{"the certificate of this profile is not valid yet: check the clock of this machine", errRefused, 10 * time.Second}},
	{"VERIFY ERROR", []string{"certificate has expired"}, cause{text: "the certificate of the server, or of its authority, has expired: tell the operator of the VPN, and check the clock of this machine", kind: errRefused}},
	{"VERIFY ERROR", []string{"not yet valid"}, cause{text: "the server's certificate is not valid yet: check the clock of this machine", kind: errRefused}},
	{"VERIFY ERROR", []string{"revoked"}, cause{text: "the server's certificate is revoked: do not connect, and tell the operator of the VPN", kind: errRefused}},
	{"", []string{"VERIFY ERROR"}, cause{text: "the server's certificate is not from the authority of this profile: the profile is old, or another machine answers; ask the operator of the VPN", kind: errRefused}},
	{"", []string{"VERIFY KU ERROR", "VERIFY EKU ERROR"}, cause{text: "the certificate that answers is not that of a server (remote-cert-tls): ask the operator of the VPN", kind: errRefused}},
	{"", []string{"VERIFY X509NAME ERROR"}, cause{text: "the server has another name than the profile wants (verify-x509-name): ask the operator of the VPN", kind: errRefused}},
	{"", []string{"alert certificate expired", "tls: expired certificate"}, cause{text: "the server refuses the certificate of this profile, which has expired: ask the operator of the VPN for a new profile", kind: errRefused}},
	{"", []string{"alert certificate revoked", "tls: revoked certificate"}, cause{text: "the server refuses the certificate of this profile, which is revoked: ask the operator of the VPN", kind: errRefused}},
	{"", []string{"alert unknown ca", "tls: unknown certificate authority"}, cause{text: "the server does not know the authority of this profile's certificate: ask the operator of the VPN for a new profile", kind: errRefused}},
	{"", []string{"Cannot open TUN/TAP dev", "Cannot ioctl TUNSETIFF"}, cause{text: "the tunnel device cannot be opened: run it as root (sudo), with the module tun loaded", kind: errMachine}},
	{"", []string{"Cannot resolve host address"}, cause{text: "the name of the server is not known: check the network of this machine and the remote lines of the profile"}},
	{"", []string{"Connection refused"}, cause{text: "nothing listens at the server's port"}},
	{"", []string{"Network is unreachable", "No route to host"}, cause{text: "there is no way to the server: check the network of this machine"}},
	{"", []string{"cannot locate HMAC", "tls-crypt unwrap error"}, cause{text: "what answers is not signed with the key of this profile (tls-auth, tls-crypt)"}},
}

// explain finds the trouble that a line of the log tells.
func explain(line string) (cause, bool) {
	for _, c := range causes {
		if strings.Contains(line, c.in) && slices.ContainsFunc(c.texts, func(t string) bool { return strings.Contains(line, t) }) {
			return c.cause, true
		}
	}
	return cause{}, false
}

// late is the error when the tunnel did not come in time.
func (s *session) late() error {
	switch {
	case s.cause.kind != nil:
		return s.cause
	case s.cause.text != "":
		return fmt.Errorf("%w after %v: %s", env.ErrTimeout, s.o.timeout, s.cause.text)
	}
	at := "the server"
	if s.state.Remote.IsValid() {
		at = s.state.Remote.String()
	}
	switch s.state.Name {
	case mgmt.StateAuthPending:
		return fmt.Errorf("%w: the login was not completed", env.ErrTimeout)
	case mgmt.StateAuth:
		return fmt.Errorf("%w after %v: %s answers and does not let us in; ask the operator of the VPN if the profile is still good", env.ErrTimeout, s.o.timeout, at)
	case mgmt.StateGetConfig:
		return fmt.Errorf("%w after %v: the login is done and %s sends no settings; ask the operator of the VPN", env.ErrTimeout, s.o.timeout, at)
	}
	return fmt.Errorf("%w: no answer from %s within %v; check the network of this machine, and ask the operator if the server runs", env.ErrTimeout, at, s.o.timeout)
}

// ended is the error of a daemon that went: nil when it was told to.
func (s *session) ended(err error) error {
	detail := ""
	if s.state.Name == mgmt.StateExiting {
		detail = s.state.Detail
	}
	switch {
	case (detail == mgmt.SIGTERM || detail == mgmt.SIGINT || detail == mgmt.ReasonExitNotification) && s.cause.kind == nil && s.connected:
		return nil
	case s.cause.kind != nil:
		return s.cause
	case detail == mgmt.ReasonAuthFailure && s.reason != "":
		return cause{text: s.reason, kind: errRefused}
	case s.cause.text != "":
		return fmt.Errorf("%s: %w", s.cause.text, err)
	case detail != "":
		return fmt.Errorf("the connection ended (%s): %w", detail, err)
	}
	return err
}
