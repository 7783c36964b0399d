package engine_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// A failed negotiation counts under one cause, whichever end sees it, and says so in stock's lines.
func TestCountFailure(t *testing.T) {
	broke := []string{"TLS_ERROR: BIO read tls_read_plaintext error", "TLS Error: TLS object -> incoming plaintext read error"}
	for _, tt := range []struct {
		name  string
		err   error
		lines []string
		count [4]uint64 // timeout, certificate, TLS, other
	}{
		{"time", control.ErrHandWindow, []string{"TLS Error: TLS key negotiation failed to occur within 60 seconds (check your network connectivity)"}, [4]uint64{1}},
		{"certificate", &control.TLSError{Handshake: true, Err: &tlsconf.VerifyError{Reason: "certificate has expired"}},
			append([]string{"OpenSSL: error:0A000086:SSL routines::certificate verify failed:"}, broke...), [4]uint64{0, 1}},
		{"wrapped certificate", fmt.Errorf("x: %w", &control.TLSError{Err: fmt.Errorf("y: %w", &tlsconf.VerifyError{})}),
			append([]string{"OpenSSL: error:0A000086:SSL routines::certificate verify failed:"}, broke...), [4]uint64{0, 1}},
		{"TLS", &control.TLSError{Handshake: true, Err: errors.New("tls: no\nway")}, append([]string{"OpenSSL: error: no way"}, broke...), [4]uint64{0, 0, 1}},
		{"other", errors.New("odd"), []string{"TLS Error: odd"}, [4]uint64{0, 0, 0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var total engine.Totals
			if diff := cmp.Diff(tt.lines, total.CountFailure(tt.err, time.Minute)); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
			f := &total.Failed
			if got := [4]uint64{f.Timeout.Load(), f.Certificate.Load(), f.TLS.Load(), f.Other.Load()}; got != tt.count {
				t.Errorf("counted %v, want %v", got, tt.count)
			}
		})
	}
}
