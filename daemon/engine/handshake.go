package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// Lines that follow the reason of a failed negotiation in the log.
const tlsBroke1, tlsBroke2 = "TLS_ERROR: BIO read tls_read_plaintext error", "TLS Error: TLS object -> incoming plaintext read error"

// OneSession refuses another session under single-session. Its argument is the address that asked for one.
const OneSession = "TLS Error: Cannot accept new session request from %s due to session context expire or --single-session"

// HandshakeFailed ends every failure of a negotiation in the log.
const HandshakeFailed = "TLS Error: TLS handshake failed"

// CountFailure counts a negotiation of keys that came to nothing by its cause, and returns the cause in stock's lines, without
// HandshakeFailed. What was wrong with a certificate is in the log by then. window is hand-window.
func (t *Totals) CountFailure(err error, window time.Duration) (lines []string) {
	var broken *control.TLSError
	var refused *tlsconf.VerifyError
	switch failed := &t.Failed; {
	case errors.Is(err, control.ErrHandWindow):
		failed.Timeout.Add(1)
		return []string{fmt.Sprintf("TLS Error: TLS key negotiation failed to occur within %d seconds (check your network connectivity)", int(window.Seconds()))}
	case errors.As(err, &refused):
		failed.Certificate.Add(1)
		return []string{"OpenSSL: error:0A000086:SSL routines::certificate verify failed:", tlsBroke1, tlsBroke2}
	case errors.As(err, &broken):
		failed.TLS.Add(1)
		return []string{"OpenSSL: error: " + oneLine(broken.Err), tlsBroke1, tlsBroke2}
	default:
		failed.Other.Add(1)
		return []string{"TLS Error: " + err.Error()}
	}
}

// oneLine is an error of the TLS library without its name and without line breaks.
func oneLine(err error) string {
	return strings.ReplaceAll(strings.TrimPrefix(err.Error(), "tls: "), "\n", " ")
}
