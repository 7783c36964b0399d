package data

import (
	"bytes"
	"testing"
)

// Any OCC message gets no answer, or one that is itself an OCC message, is an answer (which gets none), and is no longer
// than what was asked for.
func FuzzOCC(f *testing.F) {
	for _, msg := range [][]byte{{0}, {4}, {2, 0, 100}, {2, 0xff, 0xff}, {2, 0}, {1}, {6}, {}} {
		f.Add(msg, 24)
	}
	f.Fuzz(func(t *testing.T, msg []byte, overhead int) {
		overhead &= 0xff
		const options = "V4,dev-type tun"
		dst := []byte("before")
		got := answerOCC(bytes.Clone(dst), msg, options, 1500, 1400, overhead)
		if !bytes.HasPrefix(got, dst) {
			t.Fatal("what was there is gone")
		}
		got = got[len(dst):]
		if len(got) == 0 {
			return
		}
		if !bytes.HasPrefix(got, occMagic[:]) || len(got) <= len(occMagic) {
			t.Fatalf("%x gets %x", msg, got)
		}
		if most := max(maxLoad-overhead, len(occMagic)+1+len(options)+1); len(got) > most {
			t.Fatalf("%d bytes for %x", len(got), msg)
		}
		if again := answerOCC(nil, got[len(occMagic):], options, 1500, 1400, overhead); len(again) != 0 {
			t.Fatalf("the answer to %x gets an answer: %x", msg, again)
		}
	})
}
