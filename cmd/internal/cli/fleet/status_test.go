package fleet

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
)

// People hear of certificates 30 days before their end.
func TestCertificateWarnings(t *testing.T) {
	now := time.Date(2036, 3, 1, 12, 0, 0, 0, time.UTC)
	for ends, want := range map[string]string{
		"":                     "",
		"2036-03-31T13:00:00Z": "",
		"2036-03-31T11:00:00Z": "certificate of node a ends on 2036-03-31, and is not renewed: node b is away",
		"2036-02-01T00:00:00Z": "certificate of node a ends on 2036-02-01, and is not renewed: node b is away",
	} {
		var errs bytes.Buffer
		warn(&env.Env{Err: &errs}, report.Fleet{Nodes: []report.FleetNode{{Name: "a", CertificateEnds: ends, CertificateError: "node b is away"}}}, now)
		if got := errs.String(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("end %q: %q, want %q", ends, got, want)
		}
	}
}
