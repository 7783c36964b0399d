package inplace_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/moongate-vpn/moongate/daemon/internal/inplace"
)

// disk is a file on a disk with room for some bytes.
type disk struct {
	text []byte
	room int
}

func (d *disk) WriteAt(b []byte, off int64) (int, error) {
	n := min(len(b), d.room-int(off))
	if grown := int(off) + n; grown > len(d.text) {
		d.text = append(d.text, make([]byte, grown-len(d.text))...)
	}
	copy(d.text[off:], b[:n])
	if n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (d *disk) Truncate(size int64) error {
	d.text = d.text[:size]
	return nil
}

func TestRewrite(t *testing.T) {
	for name, tt := range map[string]struct {
		old, text string
		room      int
		want      string
	}{
		"longer":               {"alice,10.8.0.2,\n", "alice,10.8.0.2,\nbob,10.8.0.3,\n", 100, "alice,10.8.0.2,\nbob,10.8.0.3,\n"},
		"shorter":              {"alice,10.8.0.2,\nbob,10.8.0.3,\n", "bob,10.8.0.3,\n", 100, "bob,10.8.0.3,\n"},
		"no room":              {"alice,10.8.0.2,\n", "anna,10.8.0.17,\nbob,10.8.0.3,\n", 20, "alice,10.8.0.2,\n"},
		"no room for anything": {"", "anna,10.8.0.17,\n", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := &disk{text: []byte(tt.old), room: tt.room}
			err := inplace.Rewrite(d, []byte(tt.old), []byte(tt.text))
			if got := string(d.text); got != tt.want {
				t.Errorf("the file holds %q, want %q", got, tt.want)
			}
			if fits := len(tt.text) <= tt.room; (err == nil) != fits || !fits && !strings.Contains(err.Error(), "no space") {
				t.Errorf("error %v", err)
			}
		})
	}
}
