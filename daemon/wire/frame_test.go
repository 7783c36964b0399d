package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// collect feeds stream to a FrameBuffer in pieces of size step and copies the packets.
func collect(t *testing.T, stream []byte, maxLen, step int) (pkts [][]byte, err error) {
	t.Helper()
	fb := NewFrameBuffer(maxLen, 0)
	for len(stream) > 0 {
		room := fb.Free()
		if len(room) == 0 {
			t.Fatal("no room in a drained buffer")
		}
		n := copy(room[:min(len(room), step)], stream)
		stream = stream[n:]
		fb.Added(n)
		for {
			pkt, ok, err := fb.Next()
			if err != nil {
				return pkts, err
			}
			if !ok {
				break
			}
			pkts = append(pkts, bytes.Clone(pkt))
		}
	}
	return pkts, nil
}

func TestFramesAtEverySplit(t *testing.T) {
	want := [][]byte{{0x38, 1, 2}, bytes.Repeat([]byte{0x48}, 40), {0x28}}
	var stream []byte
	for _, p := range want {
		stream = AppendFrame(stream, p)
	}
	for step := 1; step <= len(stream); step++ {
		got, err := collect(t, stream, 40, step)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in steps of %d: %s", step, diff)
		}
	}
}

func TestFrameSize(t *testing.T) {
	for _, stream := range [][]byte{{0, 0}, {0, 41}, {0xff, 0xff, 1}} {
		if _, err := collect(t, stream, 40, 1); !errors.Is(err, ErrFrameSize) {
			t.Errorf("%x: got %v, want %v", stream, err, ErrFrameSize)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 1, 0x38, 0, 2, 1, 2}, uint8(1))
	f.Add([]byte{0, 0}, uint8(3))
	f.Add([]byte{0, 5, 1}, uint8(2))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		whole, errWhole := collect(t, stream, 100, len(stream)+1)
		split, errSplit := collect(t, stream, 100, int(step)+1)
		if !errors.Is(errSplit, errWhole) {
			t.Fatalf("errors differ: %v, %v", errWhole, errSplit)
		}
		if diff := cmp.Diff(whole, split); diff != "" {
			t.Error(diff)
		}
		var again []byte
		for _, p := range whole {
			again = AppendFrame(again, p)
		}
		if !bytes.HasPrefix(stream, again) {
			t.Errorf("%x encodes to %x", stream, again)
		}
	})
}
