package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseHeader(t *testing.T) {
	tests := []struct {
		name  string
		in    []byte
		op    Opcode
		keyID uint8
		err   error
	}{
		{"empty", nil, 0, 0, ErrShort},
		{"client reset", []byte{0x38}, OpControlHardResetClientV2, 0, nil},
		{"server reset", []byte{0x40}, OpControlHardResetServerV2, 0, nil},
		{"reset with client key", []byte{0x50}, OpControlHardResetClientV3, 0, nil},
		{"control with client key", []byte{0x58}, OpControlWKCV1, 0, nil},
		{"soft reset of key 7", []byte{0x1f}, OpControlSoftResetV1, 7, nil},
		{"data of key 3", []byte{0x4b}, OpDataV2, 3, nil},
		{"obsolete", []byte{0x08}, OpControlHardResetClientV1, 0, nil},
		{"opcode 0", []byte{0x07}, 0, 0, ErrOpcode},
		{"opcode 12", []byte{0x60}, 0, 0, ErrOpcode},
		{"opcode 31", []byte{0xff}, 0, 0, ErrOpcode},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			op, keyID, err := ParseHeader(tt.in)
			if op != tt.op || keyID != tt.keyID || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %d, %v; want %v, %d, %v", op, keyID, err, tt.op, tt.keyID, tt.err)
			}
			if err == nil && Header(op, keyID) != tt.in[0] {
				t.Errorf("Header gives %#x, want %#x", Header(op, keyID), tt.in[0])
			}
		})
	}
}

func TestOpcodeKinds(t *testing.T) {
	control := map[Opcode]bool{3: true, 4: true, 5: true, 7: true, 8: true, 10: true, 11: true}
	data := map[Opcode]bool{6: true, 9: true}
	for op := range Opcode(32) {
		if op.IsControl() != control[op] || op.IsData() != data[op] {
			t.Errorf("%v: control %v, data %v", op, op.IsControl(), op.IsData())
		}
	}
	if got := OpControlWKCV1.String() + " " + Opcode(31).String(); got != "P_CONTROL_WKC_V1 P_???(31)" {
		t.Errorf("names: %s", got)
	}
}

func TestNextKeyIDNeverReturnsToZero(t *testing.T) {
	want := []uint8{1, 2, 3, 4, 5, 6, 7, 1}
	var got []uint8
	for k, i := uint8(0), 0; i < len(want); i++ {
		k = NextKeyID(k)
		got = append(got, k)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

var bodies = []struct {
	name string
	op   Opcode
	hex  string
	want ControlBody
}{
	{"client reset", OpControlHardResetClientV2, "0000000000", ControlBody{Payload: []byte{}}},
	{
		"server reset", OpControlHardResetServerV2, "0100000000010203040506070800000000",
		ControlBody{Acks: []uint32{0}, PeerSession: SessionID{1, 2, 3, 4, 5, 6, 7, 8}, Payload: []byte{}},
	},
	{
		"ack only", OpAckV1, "0200000001000000021112131415161718",
		ControlBody{Acks: []uint32{1, 2}, PeerSession: SessionID{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18}},
	},
	{
		"control with ack", OpControlV1, "0100000000111213141516171800000001160301",
		ControlBody{
			Acks: []uint32{0}, PeerSession: SessionID{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18},
			MsgID: 1, Payload: []byte{0x16, 3, 1},
		},
	},
}

func TestControlBody(t *testing.T) {
	for _, tt := range bodies {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.hex)
			var got ControlBody
			if err := got.Parse(in, tt.op); err != nil {
				t.Fatal(err)
			}
			if len(tt.want.Acks) == 0 {
				got.Acks = nil
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(in, got.Append(nil, tt.op)); diff != "" {
				t.Error(diff)
			}
			for cut := range len(in) - len(tt.want.Payload) {
				var c ControlBody
				if err := c.Parse(in[:cut], tt.op); !errors.Is(err, ErrShort) {
					t.Errorf("cut at %d: %v, want %v", cut, err, ErrShort)
				}
			}
		})
	}
}

func TestControlBodyTooManyAcks(t *testing.T) {
	in := append([]byte{9}, make([]byte, 9*4+8+4)...)
	var c ControlBody
	if err := c.Parse(in, OpControlV1); !errors.Is(err, ErrAcks) {
		t.Errorf("got %v, want %v", err, ErrAcks)
	}
}

func TestParseControlHeader(t *testing.T) {
	tests := []struct {
		name string
		hex  string
		err  error
	}{
		{"complete", "380102030405060708", nil},
		{"short id", "3801020304050607", ErrShort},
		{"zero id", "380000000000000000", ErrNoSession},
		{"data", "480102030405060708", ErrChannel},
		{"key method 1", "080102030405060708", ErrOpcode},
		{"empty", "", ErrShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.hex)
			op, keyID, sid, rest, err := ParseControlHeader(in)
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err == nil && (!bytes.Equal(AppendControlHeader(nil, op, keyID, sid), in) || len(rest) != 0) {
				t.Errorf("%v %d %v does not encode to %x", op, keyID, sid, in)
			}
		})
	}
}

func TestDataHeader(t *testing.T) {
	tests := []struct {
		name string
		hex  string
		want DataHeader
		err  error
	}{
		{"V1", "33ff", DataHeader{OpDataV1, 3, NoPeerID}, nil},
		{"V2", "4801020304", DataHeader{OpDataV2, 0, 0x010203}, nil},
		{"V2 without id", "49ffffff", DataHeader{OpDataV2, 1, NoPeerID}, nil},
		{"V2 short", "480102", DataHeader{}, ErrShort},
		{"control", "2001020304", DataHeader{}, ErrChannel},
		{"key method 1", "0801020304", DataHeader{}, ErrOpcode},
		{"empty", "", DataHeader{}, ErrShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.hex)
			got, n, err := ParseDataHeader(in)
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if err == nil && (n != got.Size() || !bytes.Equal(got.Append(nil), in[:n])) {
				t.Errorf("%d bytes, encodes to %x, want %x", n, got.Append(nil), in[:n])
			}
		})
	}
}

func TestAllocs(t *testing.T) {
	in := unhex(t, bodies[3].hex)
	var c ControlBody
	out := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		if err := c.Parse(in, OpControlV1); err != nil {
			t.Fatal(err)
		}
		out = c.Append(out[:0], OpControlV1)
	}); n != 0 {
		t.Errorf("parse and append allocate %v times", n)
	}
}

func FuzzHeader(f *testing.F) {
	for _, s := range []string{"", "38", "480102030405", "33", "600102030405060708", "380102030405060708ff"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if op, keyID, err := ParseHeader(in); err == nil && Header(op, keyID) != in[0] {
			t.Errorf("header %v %d of %#x", op, keyID, in[0])
		}
		if h, n, err := ParseDataHeader(in); err == nil && !bytes.Equal(h.Append(nil), in[:n]) {
			t.Errorf("data header %+v of %x", h, in[:n])
		}
		if op, keyID, sid, rest, err := ParseControlHeader(in); err == nil &&
			!bytes.Equal(append(AppendControlHeader(nil, op, keyID, sid), rest...), in) {
			t.Errorf("control header %v %d %v of %x", op, keyID, sid, in)
		}
	})
}

func FuzzControlBody(f *testing.F) {
	for _, b := range bodies {
		in := unhex(f, b.hex)
		for cut := range len(in) + 1 {
			f.Add(in[:cut], uint8(b.op))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, op uint8) {
		var c, again ControlBody
		if c.Parse(in, Opcode(op)) != nil {
			return
		}
		out := c.Append(nil, Opcode(op))
		if !bytes.HasPrefix(in, out) || len(out) != len(in) && Opcode(op) != OpAckV1 {
			t.Fatalf("%x encodes to %x", in, out)
		}
		if err := again.Parse(out, Opcode(op)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c, again); diff != "" {
			t.Error(diff)
		}
	})
}
