package session

import (
	"fmt"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/keys"
)

// Plane carries the data packets of a session: a data.Channel in this process, or the kernel. The session gives it keys and reads
// how much the newest has done; packets do not pass through here.
type Plane interface {
	// SetKey installs the keys of a negotiation, to open packets at once and to seal them from sendFrom on. b is not kept.
	SetKey(keyID uint8, b *keys.Block, sendFrom time.Time) error
	// DropKey forgets a key.
	DropKey(keyID uint8)
	// PrimaryUsage counts the work of the newest key, false without any.
	PrimaryUsage() (data.KeyUsage, bool)
}

// Attach gives the session its data plane, with the first key. It is called once, when that key is active; neither end can renew
// it before. The keys of renewals follow on their own. The error is that of the derivation, or of the plane.
func (s *Session) Attach(t Terms, p Plane) error {
	s.plane, s.terms = p, t
	if t.DynamicTLSCrypt {
		if err := s.EnableDynamicTLSCrypt(); err != nil {
			return fmt.Errorf("dynamic tls-crypt: %w", err)
		}
	}
	return s.install(0)
}

// Open attaches a data channel in this process. p is t.Params and what terms do not decide. The errors are those of data.New and Attach.
func (s *Session) Open(t Terms, p data.Params) (*data.Channel, error) {
	ch, err := data.New(p)
	if err != nil {
		return nil, err
	}
	return ch, s.Attach(t, ch)
}

// Channel is the data channel in this process, nil without one.
func (s *Session) Channel() *data.Channel {
	ch, _ := s.plane.(*data.Channel)
	return ch
}
