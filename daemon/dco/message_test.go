package dco

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func sequence(from, to int) []byte {
	var b []byte
	for i := from; i < to; i++ {
		b = append(b, byte(i))
	}
	return b
}

// The bytes were put together by hand from the kernel's specification, for a machine with the low byte first.
var golden = []struct {
	name  string
	m     Message
	bytes string
}{
	{
		"new peer over IPv4",
		Message{Command: PeerNew, Ifindex: 7, Peer: &Peer{
			ID: 5, Remote: netip.MustParseAddrPort("10.99.0.2:40000"), Local: netip.MustParseAddrPort("10.99.0.1:1194"), Socket: 9,
			VPN4: netip.MustParseAddr("10.8.0.2"), VPN6: netip.MustParseAddr("fd00::2"),
			Keepalive: Keepalive{Set: true, Interval: 10 * time.Second, Timeout: 120 * time.Second},
		}},
		"010100000800010007000000600002800800010005000000080002000a630002060005009c4000000800060009000000080008000a08000214000900" +
			"fd00000000000000000000000000000208000a000a63000106000c0004aa000008000d000a00000008000e0078000000",
	},
	{
		"new peer over IPv6 with a zone",
		Message{Command: PeerNew, Ifindex: 7, Peer: &Peer{ID: MaxPeerID, Remote: netip.MustParseAddrPort("[fe80::1%3]:1"), Socket: 9}},
		"0101000008000100070000003800028008000100ffffff0014000300fe800000000000000000000000000001080004000300000006000500000100000800060009000000",
	},
	{
		"no more pings",
		Message{Command: PeerSet, Ifindex: 7, Peer: &Peer{ID: 5, Keepalive: Keepalive{Set: true}}},
		"0201000008000100070000001c000280080001000500000008000d000000000008000e0000000000",
	},
	{"dump of all peers", Message{Command: PeerGet, Ifindex: 7}, "030100000800010007000000"},
	{"delete a peer", Message{Command: PeerDel, Ifindex: 7, Peer: &Peer{ID: 5}}, "0401000008000100070000000c0002800800010005000000"},
	{
		"new key",
		Message{Command: KeyNew, Ifindex: 7, Key: &Key{
			PeerID: 5, Slot: Secondary, ID: 3, Cipher: CipherAESGCM,
			Encrypt: Direction{Key: sequence(0, 32), NonceTail: [8]byte(sequence(0, 8))},
			Decrypt: Direction{Key: sequence(32, 64), NonceTail: [8]byte(sequence(8, 16))},
		}},
		"0601000008000100070000008c00038008000100050000000800020001000000080003000300000008000400010000003400058024000100" +
			"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f0c00020000010203040506073400068024000100" +
			"202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f0c00020008090a0b0c0d0e0f",
	},
	{"swap", Message{Command: KeySwap, Ifindex: 7, Key: &Key{PeerID: 5}}, "0801000008000100070000000c0003800800010005000000"},
	{
		"delete a key", Message{Command: KeyDel, Ifindex: 7, Key: &Key{PeerID: 5, Slot: Secondary}},
		"0a01000008000100070000001400038008000100050000000800020001000000",
	},
}

func TestGoldenBytes(t *testing.T) {
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			b, err := tt.m.marshal(binary.LittleEndian)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(b); got != tt.bytes {
				t.Errorf("got  %s\nwant %s", got, tt.bytes)
			}
			back, err := parse(b, binary.LittleEndian)
			if err != nil {
				t.Fatal(err)
			}
			compare := cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })
			addr := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
			if diff := cmp.Diff(&tt.m, back, compare, addr); diff != "" {
				t.Errorf("parsed again (-want +got):\n%s", diff)
			}
			big, err := tt.m.marshal(binary.BigEndian)
			if err != nil {
				t.Fatal(err)
			}
			if back, err = parse(big, binary.BigEndian); err != nil || !cmp.Equal(&tt.m, back, compare, addr) {
				t.Errorf("on a machine with the high byte first: %+v, %v", back, err)
			}
		})
	}
}

// What the kernel tells on its own account. Attribute 99 is one of a later kernel.
func TestNotifications(t *testing.T) {
	for _, tt := range []struct {
		name, bytes string
		want        Message
	}{
		{
			"peer expired",
			"05010000080001000700000030000280080001000500000008000f000200000008001000e80300000c00150000000000000100000800630001000000",
			Message{Command: PeerDelNtf, Ifindex: 7, Peer: &Peer{ID: 5, DelReason: DelExpired, VPN: Traffic{RxBytes: 1000}, Link: Traffic{TxBytes: 1 << 40}}},
		},
		{
			"key used up", "0901000008000100070000001400038008000100050000000800030002000000",
			Message{Command: KeySwapNtf, Ifindex: 7, Key: &Key{PeerID: 5, ID: 2}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(tt.bytes)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parse(b, binary.LittleEndian)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestRefusesWhatTheKernelWould(t *testing.T) {
	for name, m := range map[string]Message{
		"no command":             {Ifindex: 1},
		"peer-id":                {Command: PeerNew, Peer: &Peer{ID: MaxPeerID + 1}},
		"remote without a port":  {Command: PeerNew, Peer: &Peer{Remote: netip.MustParseAddrPort("10.0.0.1:0")}},
		"zone by name":           {Command: PeerNew, Peer: &Peer{Remote: netip.MustParseAddrPort("[fe80::1%eth0]:1")}},
		"keepalive below zero":   {Command: PeerSet, Peer: &Peer{Keepalive: Keepalive{Set: true, Interval: -time.Second}}},
		"keepalive of half":      {Command: PeerSet, Peer: &Peer{Keepalive: Keepalive{Set: true, Timeout: time.Second / 2}}},
		"peer without a peer":    {Command: PeerDel},
		"key without a key":      {Command: KeyNew},
		"key command for a peer": {Command: KeyNew, Peer: &Peer{}},
		"peer command for a key": {Command: PeerNew, Key: &Key{}},
		"slot":                   {Command: KeyDel, Key: &Key{Slot: 2}},
		"key id":                 {Command: KeyNew, Key: &Key{ID: 8}},
		"key too long":           {Command: KeyNew, Key: &Key{Encrypt: Direction{Key: make([]byte, 257)}}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := m.MarshalBinary(); !errors.Is(err, ErrValue) {
				t.Errorf("error %v, want ErrValue", err)
			}
		})
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	m := golden[5].m
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(verb, m.Key.Encrypt) + fmt.Sprintf(verb, *m.Key); strings.Contains(s, "31") && strings.Contains(s, "30") || strings.Contains(s, "0x1f") {
			t.Errorf("%s prints the key: %s", verb, s)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, g := range golden {
		b, err := hex.DecodeString(g.bytes)
		if err != nil {
			f.Fatal(err)
		}
		for cut := 0; cut <= len(b); cut += 4 {
			f.Add(b[:cut])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parse(b, binary.LittleEndian)
		if err != nil {
			return
		}
		again, err := m.marshal(binary.LittleEndian)
		if err != nil {
			return // a message that only the kernel sends
		}
		back, err := parse(again, binary.LittleEndian)
		if err != nil {
			t.Fatalf("%x became %x: %v", b, again, err)
		}
		if third, err := back.marshal(binary.LittleEndian); err != nil || !bytes.Equal(again, third) {
			t.Fatalf("%x became %x: %v", again, third, err)
		}
	})
}
