package session

import (
	"fmt"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
)

// Terms returns the terms that Attach got.
func (s *Session) Terms() *Terms { return &s.terms }

// Patience is how long after the start of a negotiation the peer may still lack the new key, and how long a login may wait
// for its verdicts.
func (s *Session) Patience() time.Duration {
	if half := s.cfg.Renewal / 2; half > 0 {
		return min(s.cfg.HandWindow, half)
	}
	return s.cfg.HandWindow
}

// MostPatience is how long a login may wait for its verdicts when further steps are announced.
func (s *Session) MostPatience() time.Duration { return max(s.cfg.Renewal/2, s.cfg.HandWindow) }

// KeyAge is the age of the newest key, from the start of its negotiation.
func (s *Session) KeyAge(now time.Time) time.Duration { return now.Sub(s.keySince) }

// use is install for a renewed key; it tells the engine about a failure, and reports whether there was none.
func (s *Session) use(keyID uint8) bool {
	err := s.install(keyID)
	if err != nil {
		s.emit(Unusable{keyID, err})
	}
	return err == nil
}

// install gives the data channel the keys of a key id, once.
func (s *Session) install(keyID uint8) error {
	l := s.login(keyID)
	if s.plane == nil || l.installed {
		return nil
	}
	block, err := s.KeyBlock(keyID, s.terms.EKM)
	if err != nil {
		return fmt.Errorf("derive data keys: %w", err)
	}
	defer block.Wipe()
	l.installed = true
	return s.plane.SetKey(keyID, block, l.started.Add(s.Patience()))
}

// Usage is how much a key may do. Zero: as much as its cipher allows.
type Usage struct{ Bytes, Packets uint64 }

// shortBlockBytes limits what a key of a cipher with short blocks carries, unless reneg-bytes says otherwise.
const shortBlockBytes = 64 << 20

// UsageLimit returns how much a key may do by reneg-bytes and reneg-pkts, whose values below zero leave it to the cipher.
func (t *Terms) UsageLimit(bytes, packets int64) Usage {
	if suite, ok := data.Lookup(t.Cipher); ok && bytes < 0 && suite.ShortBlocks() {
		bytes = shortBlockBytes
	}
	return Usage{Bytes: uint64(max(bytes, 0)), Packets: uint64(max(packets, 0))}
}

// RenewUsed starts a renewal when the newest key has done enough. It reports whether it did.
func (s *Session) RenewUsed(most Usage, now time.Time) bool {
	if s.plane == nil || s.Busy() {
		return false
	}
	use, ok := s.plane.PrimaryUsage()
	over := use.Renegotiate || most.Bytes > 0 && use.Bytes() >= most.Bytes || most.Packets > 0 && use.Packets() >= most.Packets
	return ok && over && s.Renegotiate(now) == nil
}
