package tlsconf

import (
	"crypto/x509"
	"fmt"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Step is the outcome of one check of a peer's certificate.
type Step struct {
	Depth   int               // 0 is the peer's own certificate
	Cert    *x509.Certificate // nil when the peer sent none that parses
	Subject string            // "C=XX, O=Org, CN=name"
	Err     *VerifyError      // nil: passed
	Passed  bool              // the certificate at Depth has passed every check
	Level   logging.Level     // of Line
	Line    string            // stock's log line; empty: nothing to log
}

// Hooks watch one handshake. Both run in the goroutine of the handshake; either may be nil.
type Hooks struct {
	// Step hears of every check, in order.
	Step func(Step)
	// Cert decides about a certificate that has passed our own checks: the tls-verify hook. Certificates
	// come from the top of the chain down. An error refuses the peer. Its log lines (VERIFY SCRIPT OK and
	// ERROR) are its own.
	Cert func(depth int, cert *x509.Certificate, subject string) error
	// Chain hears of the chain when everything about it is in order, leaf first: not of what a peer sent besides, with
	// what it left out.
	Chain func([]*x509.Certificate)
}

func (h Hooks) step(s Step) {
	if h.Step != nil {
		h.Step(s)
	}
}

// VerifyError says which check a peer's certificate failed.
type VerifyError struct {
	Depth   int
	Subject string
	Reason  string // OpenSSL's words where it has some: "certificate has expired"
	Err     error  // what the library said, may be nil
}

func (e *VerifyError) Error() string {
	return fmt.Sprintf("certificate at depth %d (%s) refused: %s", e.Depth, e.Subject, e.Reason)
}

func (e *VerifyError) Unwrap() error { return e.Err }
