package reach

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// A gratuitous ARP, field by field. That hosts believe it, and its kin of IPv6, shows TestNeighbours.
func TestAnnouncement(t *testing.T) {
	mac := [6]byte{2, 0, 0, 0, 0, 0x0a}
	for address, want := range map[string]string{
		"10.8.0.5": "ffffffffffff 02000000000a 0806 0001 0800 06 04 0002 02000000000a 0a080005 ffffffffffff 0a080005",
	} {
		if got := hex.EncodeToString(Announcement(netip.MustParseAddr(address), mac)); got != strings.ReplaceAll(want, " ", "") {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
