package session

import (
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/keys"
)

type countingPlane struct{ data.KeyUsage }

func (countingPlane) SetKey(uint8, *keys.Block, time.Time) error { return nil }
func (countingPlane) DropKey(uint8)                              {}
func (p countingPlane) PrimaryUsage() (data.KeyUsage, bool)      { return p.KeyUsage, true }

// A renewal tells what the key before did.
func TestRenewalTellsWhatTheKeyDid(t *testing.T) {
	s := &Session{plane: countingPlane{data.KeyUsage{Sealed: 3, SealedBytes: 300, Opened: 4, OpenedBytes: 40}}}
	s.take(control.SoftReset{KeyID: 1})
	e, ok := s.Event()
	if r, is := e.(SoftReset); !ok || !is || r.Done.Packets() != 7 || r.Done.Bytes() != 340 {
		t.Errorf("%+v", e)
	}
}
