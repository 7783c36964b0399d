package control

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Renegotiate starts a renewal with a soft reset. ErrBusy: one is under way already; ErrNotUp: the first
// key is not in use yet.
func (s *Session) Renegotiate(now time.Time) error {
	switch {
	case s.Dead():
		return ErrClosed
	case s.primary == nil || s.primary.phase == phaseActive && !s.primary.generated:
		return ErrNotUp
	case s.primary.phase != phaseActive:
		return ErrBusy
	}
	s.softReset(now, false)
	return nil
}

// softReset makes a new primary key state; the old one becomes the lame duck until the tran-window ends,
// counted from the first try to replace it: renewals that fail do not prolong a key. An older lame duck is
// dropped at once: there are never more than two keys.
func (s *Session) softReset(now time.Time, byPeer bool) {
	if s.lame != nil {
		s.dropLame()
	}
	s.lame = s.primary
	if s.lame.mustDie.IsZero() {
		s.lame.mustDie = now.Add(s.cfg.TranWindow)
	}
	s.primary = s.newKey(s.nextID, now)
	s.nextID = wire.NextKeyID(s.nextID)
	s.primary.send.Queue(wire.OpControlSoftResetV1, nil, now)
	s.emit(SoftReset{KeyID: s.primary.id, ByPeer: byPeer, Started: now})
}

// EnableDynamicTLSCrypt protects all further renewals with a key of this session's first TLS connection,
// combined with the static key if there is one. To be called once, when both ends have agreed on it and
// before the first renewal. The error is ErrNotUp without the first connection.
//
//	key = exporter(256 bytes) XOR static key
func (s *Session) EnableDynamicTLSCrypt() error {
	k := s.key(0)
	if k == nil {
		return ErrNotUp
	}
	secret, err := k.export(keys.LabelDynamicTLSCrypt, keys.StaticKeySize)
	if err != nil {
		return err
	}
	defer clear(secret)
	exported := keys.StaticKey(secret)
	defer clear(exported[:])
	s.dynamic = ctrlwrap.NewDynamic(&exported, s.cfg.StaticKey, s.cfg.Role)
	return nil
}
