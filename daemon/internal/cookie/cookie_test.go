package cookie

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

func newJar(t *testing.T) *Jar {
	t.Helper()
	j, err := New(bytes.NewReader(bytes.Repeat([]byte{7}, 32)), 60*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestVerify(t *testing.T) {
	var (
		start  = time.Unix(1_700_000_010, 0).Truncate(30 * time.Second)
		addr   = netip.MustParseAddrPort("192.0.2.1:1194")
		client = wire.SessionID{1, 2, 3, 4, 5, 6, 7, 8}
	)
	j := newJar(t)
	good := j.Session(addr, client, start)
	bad := good
	bad[7] ^= 1
	tests := []struct {
		name   string
		addr   string
		client wire.SessionID
		got    wire.SessionID
		after  time.Duration
		want   bool
	}{
		{"same instant", "192.0.2.1:1194", client, good, 0, true},
		{"end of the slot", "192.0.2.1:1194", client, good, 29 * time.Second, true},
		{"two slots later", "192.0.2.1:1194", client, good, 89 * time.Second, true},
		{"three slots later", "192.0.2.1:1194", client, good, 90 * time.Second, false},
		{"from the future", "192.0.2.1:1194", client, good, -time.Second, false},
		{"mapped address", "[::ffff:192.0.2.1]:1194", client, good, 0, true},
		{"other address", "192.0.2.2:1194", client, good, 0, false},
		{"other port", "192.0.2.1:1195", client, good, 0, false},
		{"other client id", "192.0.2.1:1194", wire.SessionID{1}, good, 0, false},
		{"one bit off", "192.0.2.1:1194", client, bad, 0, false},
		{"zero", "192.0.2.1:1194", client, wire.SessionID{}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := j.Verify(netip.MustParseAddrPort(tt.addr), tt.client, tt.got, start.Add(tt.after)); got != tt.want {
				t.Errorf("Verify = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSessionIsStableWithinASlot(t *testing.T) {
	j := newJar(t)
	addr, client := netip.MustParseAddrPort("[2001:db8::1]:7"), wire.SessionID{9}
	now := time.Unix(1_700_000_010, 0).Truncate(30 * time.Second)
	first := j.Session(addr, client, now)
	if again := j.Session(addr, client, now.Add(29*time.Second)); again != first {
		t.Errorf("within a slot: %v, then %v", first, again)
	}
	if next := j.Session(addr, client, now.Add(30*time.Second)); next == first {
		t.Errorf("next slot has the same cookie %v", next)
	}
}

func TestNewNeedsRandom(t *testing.T) {
	if _, err := New(bytes.NewReader(nil), time.Minute); err == nil {
		t.Error("no error without randomness")
	}
}

func TestAllocs(t *testing.T) {
	j := newJar(t)
	addr, now := netip.MustParseAddrPort("192.0.2.1:1194"), time.Unix(1_700_000_000, 0)
	if n := testing.AllocsPerRun(100, func() { j.Verify(addr, wire.SessionID{1}, wire.SessionID{2}, now) }); n != 0 {
		t.Errorf("Verify allocates %v times", n)
	}
}
