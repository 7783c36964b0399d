package daemon

import (
	"slices"
	"testing"
)

// What the journal lost is a row behind those that stock knows, in the form of the report, and no row while nothing is lost.
func TestLostIsTold(t *testing.T) {
	for _, tt := range []struct {
		last, want string
	}{
		{"Auth read bytes,32", "Journal events lost,7"},
		{"Max bcast/mcast queue length,0", "Journal events lost,7"},
		{"GLOBAL_STATS,dco_enabled,0", "GLOBAL_STATS,Journal events lost,7"},
		{"GLOBAL_STATS\tdco_enabled\t0", "GLOBAL_STATS\tJournal events lost\t7"},
	} {
		report := []string{"first", tt.last, "END"}
		if got := lost(func() uint64 { return 0 }).tell(report); !slices.Equal(got, report) {
			t.Errorf("%q: without a loss %q", tt.last, got)
		}
		want := []string{"first", tt.last, tt.want, "END"}
		if got := lost(func() uint64 { return 7 }).tell(slices.Clone(report)); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := lost(func() uint64 { return 7 }).tell(nil); got != nil {
		t.Errorf("no report becomes %q", got)
	}
}
