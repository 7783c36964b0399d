package ctrlwrap

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

var (
	testNow = time.Unix(1_700_000_000, 0)
	testSID = wire.SessionID{1, 2, 3, 4, 5, 6, 7, 8}
)

func testKey() *keys.StaticKey {
	var k keys.StaticKey
	for i := range k {
		k[i] = byte(i * 7)
	}
	return &k
}

func mustDigest(t testing.TB, name string) keys.Digest {
	t.Helper()
	d, err := keys.ParseDigest(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// pairs makes both ends of every kind of wrapping.
func pairs(t testing.TB) map[string]func() (client, server Wrapper) {
	key, sha1 := testKey(), mustDigest(t, "SHA1")
	return map[string]func() (client, server Wrapper){
		"plain": func() (Wrapper, Wrapper) { return NewPlain(), NewPlain() },
		"tls-auth": func() (Wrapper, Wrapper) {
			return NewTLSAuth(key, keys.Direction1, sha1), NewTLSAuth(key, keys.Direction0, sha1)
		},
		"tls-crypt": func() (Wrapper, Wrapper) {
			return NewTLSCrypt(key, keys.Client), NewTLSCrypt(key, keys.Server)
		},
		"tls-crypt-v2": func() (Wrapper, Wrapper) {
			wkc, err := new(keys.WrapKey).Wrap(key, nil)
			if err != nil {
				t.Fatal(err)
			}
			return NewTLSCryptV2Client(key, wkc), NewTLSCryptV2Server(key)
		},
		"dynamic": func() (Wrapper, Wrapper) {
			return NewDynamic(key, key, keys.Client), NewDynamic(key, key, keys.Server)
		},
	}
}

func mustWrap(t testing.TB, w Wrapper, op wire.Opcode, body []byte, now time.Time) []byte {
	t.Helper()
	pkt, err := w.Wrap(nil, op, 0, testSID, body, now)
	if err != nil {
		t.Fatal(err)
	}
	return pkt
}

// TestEveryBitCounts changes each bit of a packet and cuts it at each byte: only plain packets may pass, since only
// they promise nothing.
func TestEveryBitCounts(t *testing.T) {
	for name, pair := range pairs(t) {
		if name == "plain" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			client, server := pair()
			pkt := mustWrap(t, client, wire.OpControlV1, []byte("\x00\x00\x00\x00\x01payload"), testNow)
			for bit := range len(pkt) * 8 {
				pkt[bit/8] ^= 1 << (bit % 8)
				if _, err := unwrap(server, pkt, testNow); err == nil {
					t.Errorf("bit %d changed and nobody noticed", bit)
				}
				pkt[bit/8] ^= 1 << (bit % 8)
			}
			for cut := range pkt {
				if _, err := unwrap(server, pkt[:cut], testNow); err == nil {
					t.Errorf("cut at %d and nobody noticed", cut)
				}
			}
			// None of those may have touched the window.
			if _, err := unwrap(server, pkt, testNow); err != nil {
				t.Errorf("the packet itself: %v", err)
			}
		})
	}
}

func TestReplay(t *testing.T) {
	for name, pair := range pairs(t) {
		if name == "plain" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			client, server := pair()
			var pkts [][]byte
			for i := range 70 {
				pkts = append(pkts, mustWrap(t, client, wire.OpControlV1, []byte{0, 0, 0, 0, byte(i)}, testNow))
			}
			for _, step := range []struct {
				what string
				pkt  int
				want error
			}{
				{"first", 1, nil},
				{"again", 1, ErrReplay},
				{"older but unseen", 0, nil},
				{"far ahead", 69, nil},
				{"below the window", 5, ErrReplay},
				{"inside the window", 6, nil},
				{"and again", 6, ErrReplay},
			} {
				if _, err := unwrap(server, pkts[step.pkt], testNow); !errors.Is(err, step.want) {
					t.Errorf("%s: got %v, want %v", step.what, err, step.want)
				}
			}
			// A peer that starts over has a later time.
			restarted, _ := pair()
			if _, err := unwrap(server, mustWrap(t, restarted, wire.OpControlV1, make([]byte, 5), testNow.Add(time.Second)), testNow); err != nil {
				t.Errorf("restarted peer: %v", err)
			}
			if _, err := unwrap(server, pkts[68], testNow); !errors.Is(err, ErrReplay) {
				t.Errorf("from before the restart: got %v, want %v", err, ErrReplay)
			}
		})
	}
}

// A packet that unwraps and is then found wanting moves no window: nobody with a shared key locks a session's packets out.
func TestUnwrapDoesNotCommit(t *testing.T) {
	for name, pair := range pairs(t) {
		if name == "plain" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			client, server := pair()
			var forger Wrapper
			forger, _ = pair()
			honest := mustWrap(t, client, wire.OpControlV1, make([]byte, 5), testNow)
			for range 100 { // of a later count, which would make all earlier ones replays
				forged := mustWrap(t, forger, wire.OpControlV1, make([]byte, 5), testNow.Add(time.Hour))
				if _, _, _, _, err := server.Unwrap(forged, testNow); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, _, _, err := server.Unwrap(honest, testNow); err != nil {
				t.Fatalf("after packets that were not committed: %v", err)
			}
			server.Commit(testNow)
			server.Commit(testNow) // nothing is left to commit
			if _, _, _, _, err := server.Unwrap(honest, testNow); !errors.Is(err, ErrReplay) {
				t.Errorf("a packet that was committed: %v", err)
			}
		})
	}
}

func TestWrongKeyOrDirection(t *testing.T) {
	key, other := testKey(), testKey()
	other[0]++
	other[64]++
	other[128]++
	other[192]++
	sha1, sha256 := mustDigest(t, "SHA1"), mustDigest(t, "SHA256")
	tests := []struct {
		name             string
		sender, receiver Wrapper
	}{
		{"tls-crypt, other key", NewTLSCrypt(other, keys.Client), NewTLSCrypt(key, keys.Server)},
		{"tls-crypt, same role", NewTLSCrypt(key, keys.Client), NewTLSCrypt(key, keys.Client)},
		{"tls-auth, other key", NewTLSAuth(other, keys.Direction1, sha1), NewTLSAuth(key, keys.Direction0, sha1)},
		{"tls-auth, same direction", NewTLSAuth(key, keys.Direction1, sha1), NewTLSAuth(key, keys.Direction1, sha1)},
		{"tls-auth, one side without", NewTLSAuth(key, keys.Direction1, sha1), NewTLSAuth(key, keys.Bidirectional, sha1)},
		{"tls-auth, other digest", NewTLSAuth(key, keys.Bidirectional, sha256), NewTLSAuth(key, keys.Bidirectional, sha1)},
		{"tls-auth to tls-crypt", NewTLSAuth(key, keys.Bidirectional, sha256), NewTLSCrypt(key, keys.Server)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pkt := mustWrap(t, tt.sender, wire.OpControlV1, make([]byte, 20), testNow)
			if _, err := unwrap(tt.receiver, pkt, testNow); !errors.Is(err, ErrAuth) {
				t.Errorf("got %v, want %v", err, ErrAuth)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	client, server := pairs(t)["tls-crypt"]()
	if _, err := client.Wrap(nil, wire.OpControlV1, 0, testSID, make([]byte, maxBody+1), testNow); !errors.Is(err, ErrSize) {
		t.Errorf("wrap: got %v, want %v", err, ErrSize)
	}
	if _, err := unwrap(server, append(testHead(), make([]byte, cryptOverhead+maxBody+1)...), testNow); !errors.Is(err, ErrSize) {
		t.Errorf("unwrap: got %v, want %v", err, ErrSize)
	}
}

func testHead() []byte { return wire.AppendControlHeader(nil, wire.OpControlV1, 0, testSID) }

func TestCounterWrap(t *testing.T) {
	c := counter{id: ^uint32(0) - 1}
	type pair struct{ ID, Time uint32 }
	var got []pair
	for range 3 {
		id, tm := c.next(time.Unix(1000, 0))
		got = append(got, pair{id, tm})
	}
	// The time must grow even if the clock did not.
	want := []pair{{^uint32(0), 1000}, {1, 1001}, {2, 1001}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestCounterBlockCarries(t *testing.T) {
	h := newCryptHalf(testKey(), 0)
	for in, want := range map[string]string{
		"\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff": "\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff": "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff": "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00",
	} {
		copy(h.count, in)
		h.increment()
		if !bytes.Equal(h.count, []byte(want)) {
			t.Errorf("%x + 1 = %x, want %x", in, h.count, want)
		}
	}
}

func TestAllocs(t *testing.T) {
	for name, pair := range pairs(t) {
		t.Run(name, func(t *testing.T) {
			client, server := pair()
			body, out := make([]byte, 1100), make([]byte, 0, 2048)
			if n := testing.AllocsPerRun(200, func() {
				var err error
				out, err = client.Wrap(out[:0], wire.OpControlV1, 0, testSID, body, testNow)
				if err != nil {
					t.Fatal(err)
				}
				if _, _, _, _, err := server.Unwrap(out, testNow); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("wrap and unwrap allocate %v times", n)
			}
		})
	}
}

func FuzzUnwrap(f *testing.F) {
	all := pairs(f)
	for _, name := range []string{"plain", "tls-auth", "tls-crypt", "tls-crypt-v2"} {
		client, _ := all[name]()
		for _, op := range []wire.Opcode{wire.OpControlHardResetClientV2, wire.OpControlWKCV1, wire.OpAckV1} {
			pkt := mustWrap(f, client, op, []byte("\x00\x00\x00\x00\x00hello"), testNow)
			f.Add(pkt)
			f.Add(pkt[:len(pkt)/2])
		}
	}
	f.Fuzz(func(t *testing.T, pkt []byte) {
		for name, pair := range all {
			_, server := pair()
			before := bytes.Clone(pkt)
			got, err := unwrap(server, pkt, testNow)
			if !bytes.Equal(before, pkt) {
				t.Errorf("%s: packet changed", name)
			}
			if err == nil && (len(got.Body) > len(pkt)-wire.ControlHeaderSize-server.Overhead() || got.Session.IsZero() || !got.Op.IsControl()) {
				t.Errorf("%s: %x gives %+v", name, pkt, got)
			}
		}
	})
}
