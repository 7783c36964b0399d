package data

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pierrec/lz4/v4"
)

func TestStrip(t *testing.T) {
	text := bytes.Repeat([]byte("moongate "), 100)
	lz := make([]byte, lz4.CompressBlockBound(len(text)))
	n, err := lz4.CompressBlock(text, lz, nil)
	if err != nil || n == 0 {
		t.Fatal(n, err)
	}
	lz = lz[:n]
	swapped := append(append([]byte{byteLZ4}, lz[1:]...), lz[0])
	v2 := append([]byte{byteV2, v2LZ4}, lz...)
	lzoHello := []byte{byteLZO, 17 + 5, 'h', 'e', 'l', 'l', 'o', 17, 0, 0}
	tests := []struct {
		name       string
		f          Framing
		in         []byte
		decompress bool
		want       []byte
		err        error
	}{
		{"lzo plain", FramingLZO, []byte{0xFA, 1, 2}, false, []byte{1, 2}, nil},
		{"lzo data", FramingLZO, lzoHello, true, []byte("hello"), nil},
		{"lzo refused", FramingLZO, lzoHello, false, nil, ErrCompressed},
		{"lzo broken", FramingLZO, []byte{0x66, 0, 0}, true, nil, ErrFraming},
		{"lzo unknown", FramingLZO, []byte{0x45, 0}, true, nil, ErrFraming},
		{"swap", FramingStub, []byte{0xFB, 2, 3, 1}, false, []byte{1, 2, 3}, nil},
		{"swap without payload", FramingStub, []byte{0xFB}, false, nil, ErrShort},
		{"lz4", FramingLZ4, swapped, true, text, nil},
		{"lz4 refused", FramingStub, swapped, false, nil, ErrCompressed},
		{"v2 plain", FramingStubV2, []byte{0x45, 1}, false, []byte{0x45, 1}, nil},
		{"v2 escaped", FramingStubV2, []byte{0x50, 0, 0x50, 1}, false, []byte{0x50, 1}, nil},
		{"v2 escaped by stock", FramingStubV2, []byte{0x50, 0x0A, 0x50, 1}, false, []byte{0x50, 1}, nil},
		{"v2 unknown", FramingStubV2, []byte{0x50, 7, 1}, true, nil, ErrFraming},
		{"v2 short", FramingLZ4V2, []byte{0x50}, true, nil, ErrShort},
		{"lz4-v2", FramingLZ4V2, v2, true, text, nil},
		{"lz4-v2 refused", FramingLZ4V2, v2, false, nil, ErrCompressed},
		{"lz4 under stub-v2", FramingStubV2, v2, true, nil, ErrCompressed},
		{"empty", FramingLZO, nil, false, nil, ErrShort},
	}
	for _, tt := range tests {
		got, err := tt.f.strip(bytes.Clone(tt.in), tt.decompress)
		if err != tt.err || !bytes.Equal(got, tt.want) {
			t.Errorf("%s: %x, %v, want %x, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
}

func FuzzStrip(f *testing.F) {
	for _, b := range [][]byte{{0xFA, 1}, {0xFB, 1, 2}, {0x50, 1, 0x10, 0x45}, {0x66, 18, 1, 17, 0, 0}, {0x69, 0, 0}} {
		f.Add(b, uint8(1), true)
		f.Add(b, uint8(4), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, framing uint8, decompress bool) {
		fr := Framing(framing) % (FramingLZ4V2 + 1)
		if len(b) > 0 {
			framed := fr.append(nil, b)
			if len(framed) != len(b)+fr.extra(b) {
				t.Fatalf("framed %d bytes are %d, extra says %d", len(b), len(framed), fr.extra(b))
			}
			if back, err := fr.strip(framed, false); err != nil || !bytes.Equal(back, b) {
				t.Fatalf("%x back from framing %d: %x, %v", b, fr, back, err)
			}
		}
		out, err := fr.strip(bytes.Clone(b), decompress)
		if err != nil && out != nil || len(out) > max(len(b), maxPayload) {
			t.Fatalf("%d bytes, error %v", len(out), err)
		}
	})
}

// fragmentsOf splits b as Batch.sealParts does.
func fragmentsOf(b []byte, n int, seq uint32) (out [][]byte) {
	size := fragmentSize(len(b), n)
	for i := range n {
		p := binary.BigEndian.AppendUint32(nil, fragmentHeader(seq, i, n, size))
		out = append(out, append(p, b[i*size:min((i+1)*size, len(b))]...))
	}
	return out
}

// TestReassembleAnyOrder: shuffled, duplicated fragments of several datagrams come together, each once.
func TestReassembleAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		c := &Channel{}
		var all [][]byte
		want := map[string]int{}
		for seq := range uint32(fragSlots) {
			b := make([]byte, 300+r.IntN(3000))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			want[string(b)]++
			all = append(all, fragmentsOf(b, 2+r.IntN(9), seq)...)
		}
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, p := range all {
			whole, err := c.reassemble(p, testNow)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if whole != nil {
				want[string(whole)]--
			}
		}
		for _, n := range want {
			if n != 0 {
				t.Fatalf("round %d: a datagram arrived %d times", round, 1-n)
			}
		}
	}
}

func TestReassembleBounds(t *testing.T) {
	c := &Channel{}
	parts := fragmentsOf(packet(1228), 3, 91)
	add := func(p []byte, at time.Duration) ([]byte, error) {
		t.Helper()
		return c.reassemble(bytes.Clone(p), testNow.Add(at))
	}
	steps := []struct {
		name  string
		in    []byte
		at    time.Duration
		whole bool
		err   error
	}{
		{"short", []byte{0, 0, 0}, 0, false, ErrShort},
		{"type 3", []byte{0, 0, 0, 3, 1}, 0, false, ErrFragment},
		{"last without size", []byte{0, 0, 0, 2, 1}, 0, false, ErrFragment},
		{"odd size", []byte{0, 0, 0, 1, 1}, 0, false, ErrFragment},
		{"empty fragment", []byte{0, 0, 0, 1}, 0, false, ErrFragment},
		{"first", parts[0], 0, false, nil},
		{"again", parts[0], 0, false, nil},
		{"last", parts[2], time.Second, false, nil},
		{"middle, too late", parts[1], 11 * time.Second, false, nil},
		{"first again", parts[0], 11 * time.Second, false, nil},
		{"last again: whole", parts[2], 11 * time.Second, true, nil},
		{"first of the next", parts[0], 12 * time.Second, false, nil},
		{"another size under the same number", fragmentsOf(packet(900), 3, 91)[1], 12 * time.Second, false, ErrFragment},
	}
	for _, s := range steps {
		got, err := add(s.in, s.at)
		if err != s.err || (got != nil) != s.whole {
			t.Errorf("%s: %d bytes, %v, want whole %v, %v", s.name, len(got), err, s.whole, s.err)
		}
		if s.whole && !bytes.Equal(got, packet(1228)) {
			t.Errorf("%s: another datagram", s.name)
		}
	}
}

func FuzzReassemble(f *testing.F) {
	var seed []byte
	for _, p := range fragmentsOf(packet(100), 3, 7) {
		seed = append(append(seed, byte(len(p))), p...)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		c := &Channel{}
		now := testNow
		for len(b) > 0 {
			n := min(int(b[0]), len(b)-1)
			whole, err := c.reassemble(b[1:1+n], now)
			if err != nil && whole != nil || len(whole) > maxPayload {
				t.Fatalf("%d bytes and error %v", len(whole), err)
			}
			b, now = b[1+n:], now.Add(time.Millisecond)
		}
	})
}

// synPacket is a TCP SYN with options in front of its MSS, checksum included.
func synPacket(v6 bool, mss uint16, before []byte) []byte {
	opts := append(bytes.Clone(before), optMSS, 4, byte(mss>>8), byte(mss))
	for len(opts)%4 != 0 {
		opts = append(opts, optEnd)
	}
	tcp := make([]byte, 20, 60)
	tcp[0], tcp[12], tcp[13] = 0x30, byte(20+len(opts))/4<<4, flagSYN
	tcp = append(tcp, opts...)
	ip := make([]byte, 20)
	ip[0], ip[9] = 0x45, protoTCP
	copy(ip[12:], []byte{10, 8, 0, 6, 10, 8, 0, 1})
	if v6 {
		ip = make([]byte, 40)
		ip[0], ip[6] = 0x60, protoTCP
		ip[8], ip[24] = 0xFD, 0xFD
	}
	pkt := append(ip, tcp...)
	binary.BigEndian.PutUint16(pkt[len(ip)+16:], ^tcpSum(pkt))
	return pkt
}

// tcpSum is the sum over pseudo header and segment; 0xFFFF when the checksum inside is right.
func tcpSum(pkt []byte) uint16 {
	hdr, addrs := 20, pkt[12:20]
	if pkt[0]>>4 == 6 {
		hdr, addrs = 40, pkt[8:40]
	}
	sum := uint32(protoTCP + len(pkt) - hdr)
	for _, b := range [][]byte{addrs, pkt[hdr:]} {
		for i := 0; i+1 < len(b); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(b[i:]))
		}
	}
	for sum > 0xFFFF {
		sum = sum&0xFFFF + sum>>16
	}
	return uint16(sum)
}

func TestClampMSS(t *testing.T) {
	fragmented := synPacket(false, 1460, nil)
	fragmented[7] = 1
	noSYN := synPacket(false, 1460, nil)
	noSYN[33] = 0x10
	tests := []struct {
		name string
		pkt  []byte
		at   int // of the MSS
		want uint16
	}{
		{"v4", synPacket(false, 1460, nil), 42, 1400},
		{"v4, odd offset", synPacket(false, 1460, []byte{optNop}), 43, 1400},
		{"v4, after another option", synPacket(false, 9000, []byte{3, 3, 7}), 45, 1400},
		{"v4, lower already", synPacket(false, 1200, nil), 42, 1200},
		{"v6", synPacket(true, 1440, nil), 62, 1380},
		{"not the first fragment", fragmented, 42, 1460},
		{"no SYN", noSYN, 42, 1460},
		{"behind the end of options", synPacket(false, 1460, []byte{optEnd, 0, 0, 0}), 46, 1460},
		{"behind a broken option", synPacket(false, 1460, []byte{9, 0, 0, 0}), 46, 1460},
	}
	for _, tt := range tests {
		for _, link := range [][]byte{nil, {12: 8, 13: 0}, {12: 0x81, 13: 0, 14: 0, 15: 5, 16: 8, 17: 0}} {
			frame := append(bytes.Clone(link), tt.pkt...)
			if len(link) > 0 && tt.pkt[0]>>4 == 6 {
				copy(frame[len(link)-2:], []byte{0x86, 0xDD})
			}
			clampMSS(frame, 1400, len(link) > 0)
			pkt := frame[len(link):]
			if got := binary.BigEndian.Uint16(pkt[tt.at:]); got != tt.want {
				t.Errorf("%s, link header %d: MSS %d, want %d", tt.name, len(link), got, tt.want)
			}
			if tt.name != "no SYN" && tcpSum(pkt) != 0xFFFF {
				t.Errorf("%s, link header %d: wrong checksum", tt.name, len(link))
			}
		}
	}
}

func FuzzClampMSS(f *testing.F) {
	f.Add(synPacket(false, 1460, nil), false)
	f.Add(synPacket(true, 1460, []byte{optNop}), false)
	f.Add(append(make([]byte, 14), synPacket(false, 1460, nil)...), true)
	f.Fuzz(func(t *testing.T, b []byte, tap bool) {
		before := bytes.Clone(b)
		clampMSS(b, 1300, tap)
		changed := 0
		for i := range b {
			if b[i] != before[i] {
				changed++
			}
		}
		if changed > 4 { // MSS and checksum
			t.Fatalf("%d bytes changed", changed)
		}
		again := bytes.Clone(b)
		if clampMSS(again, 1300, tap); !bytes.Equal(again, b) {
			t.Fatal("a second pass changes the packet again")
		}
	})
}

func TestLimits(t *testing.T) {
	gcm := Params{Cipher: "AES-256-GCM", V2: true}
	stub, frag, cbc, epoch := gcm, gcm, gcm, gcm
	stub.Framing, frag.Fragment, epoch.Epoch = FramingLZO, 572, true
	cbc.Cipher, cbc.Auth = "AES-256-CBC", "SHA1"
	mtu := Limit{1492, LimitMTU}
	tests := []struct {
		name string
		p    Params
		l    Limit
		o    Outer
		want int
	}{
		{"UDPv4", gcm, mtu, Outer{}, 1400},
		{"UDPv6", gcm, mtu, Outer{IPv6: true}, 1380},
		{"TCPv4", gcm, mtu, Outer{TCP: true}, 1386},
		{"SOCKS", gcm, mtu, Outer{SOCKS: true}, 1390},
		{"stub", stub, mtu, Outer{}, 1399},
		{"fragment", frag, mtu, Outer{}, 1396},
		{"epoch", epoch, mtu, Outer{}, 1396},
		{"CBC", cbc, mtu, Outer{}, (1492-28-4-20-16)/16*16 - 1 - 4 - 40},
		{"payload", gcm, Limit{1450, LimitPayload}, Outer{}, 1386},
		{"fixed", gcm, Limit{1400, LimitFixed}, Outer{TCP: true}, 1360},
		{"off", gcm, Limit{}, Outer{}, 0},
		{"too small", gcm, Limit{50, LimitMTU}, Outer{}, 0},
	}
	for _, tt := range tests {
		if got, err := MSSLimitOf(tt.p, tt.l, tt.o); got != tt.want || err != nil {
			t.Errorf("%s: %d, %v, want %d", tt.name, got, err, tt.want)
		}
	}
	// No packet of a fragmenting channel is larger than the limit, and the next multiple of 4 would be.
	for _, p := range []Params{gcm, stub, cbc, epoch} {
		l := Limit{600, LimitPayload}
		n, err := FragmentSizeOf(p, l, Outer{})
		if err != nil {
			t.Fatal(err)
		}
		p.Fragment = n
		a, _ := pair(t, p, 0, testBlock())
		var b Batch
		if err := a.SealBatch(&b, [][]byte{packet(n * 4), packet(n - p.Framing.overhead())}, testNow); err != nil {
			t.Fatal(err)
		}
		for _, pkt := range b.Packets {
			if len(pkt) > l.Bytes {
				t.Errorf("%s: packet of %d bytes above the limit %d", p.Cipher, len(pkt), l.Bytes)
			}
		}
	}
}

// FuzzOpen feeds every kind of channel; cipher none without HMAC lets everything reach the layers behind.
func FuzzOpen(f *testing.F) {
	var channels []*Channel
	for name, p := range variants() {
		p.Framing, p.Decompress, p.Fragment, p.MSSLimit = FramingLZ4V2, true, 400, 1300
		if len(name)%2 == 0 {
			p.Framing, p.Fragment = FramingLZO, 0
		}
		a, b := pair(f, p, 0, testBlock())
		pkt, err := a.Seal(nil, packet(50), testNow)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(pkt)
		channels = append(channels, b)
	}
	f.Add([]byte{0x48})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range channels {
			payload, kind, err := c.Open(bytes.Clone(b), testNow)
			if err != nil && (payload != nil || kind != None) {
				t.Fatalf("%s: payload %x, kind %d with error %v", c.p.Cipher, payload, kind, err)
			}
			if len(payload) > maxPayload+len(b) {
				t.Fatalf("payload of %d bytes", len(payload))
			}
		}
	})
}
