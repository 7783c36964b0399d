package status

import (
	"strings"
	"testing"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// A server's status tells what its journal lost, and is silent while nothing is.
func TestLostEventsShow(t *testing.T) {
	for lost, want := range map[uint64]bool{0: false, 7: true} {
		s := Status{Status: client.Status{Server: true, Global: []client.Counter{{Name: journalLost, Value: lost}}}}
		var out strings.Builder
		if err := s.table(&env.Env{Out: &out}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(out.String(), "journal   7 events lost"); got != want {
			t.Errorf("%d lost:\n%s", lost, &out)
		}
		if got := s.Report().Counters["journal_events_lost"]; got != lost {
			t.Errorf("the report has %d, want %d", got, lost)
		}
	}
}
