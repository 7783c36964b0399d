// Package cookie makes the session ids by which a server recognises clients it kept no state for.
//
//	slot = floor((now - some time before the first use) / ((hand window + 1 s) / 2))
//	S    = first 8 bytes of HMAC-SHA256(secret, slot u64 | address | port u16 | client session id 8)
//
// The server answers a client's reset with S as its own session id and forgets the client. A packet that acknowledges
// the reset echoes S, which proves that the sender receives at its address, lately. The format is the server's own.
//
// Rule: docs/protocol.md#211-handshake-as-seen-by-a-server.
package cookie

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Jar makes and verifies cookies under a secret of its own. Safe for concurrent use.
type Jar struct {
	slot int64 // whole seconds

	mu    sync.Mutex // guards all below
	began time.Time  // slots count from here: the first time seen
	mac   hash.Hash
	in    []byte
	sum   []byte
}

// New makes a jar with a secret from rand. Cookies are good for the rest of their slot of about half a hand window
// and two more slots.
func New(rand io.Reader, handWindow time.Duration) (*Jar, error) {
	var secret [sha256.Size]byte
	if _, err := io.ReadFull(rand, secret[:]); err != nil {
		return nil, fmt.Errorf("generate cookie secret: %w", err)
	}
	slot := max((int64(handWindow/time.Second)+1)/2, 1)
	return &Jar{slot: slot, mac: hmac.New(sha256.New, secret[:])}, nil
}

// Session is the cookie at now for a client at addr with session id client. It is never zero.
func (j *Jar) Session(addr netip.AddrPort, client wire.SessionID, now time.Time) wire.SessionID {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.session(addr, client, j.slotAt(now))
}

// Verify reports whether got is the cookie of this client for the slot of now or one of the two before it.
func (j *Jar) Verify(addr netip.AddrPort, client, got wire.SessionID, now time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	slot := j.slotAt(now)
	ok := false
	for back := range int64(3) {
		want := j.session(addr, client, slot-back)
		ok = hmac.Equal(want[:], got[:]) || ok
	}
	return ok
}

// slotAt is the slot of a time. Slots follow the monotonic clock when times do: a step of the system's clock spoils no cookie.
func (j *Jar) slotAt(now time.Time) int64 {
	if j.began.IsZero() {
		j.began = now.Add(-3 * time.Duration(j.slot) * time.Second) // so that the slots before it have numbers from 0
	}
	return int64(now.Sub(j.began)/time.Second) / j.slot
}

func (j *Jar) session(addr netip.AddrPort, client wire.SessionID, slot int64) wire.SessionID {
	// A v4 address is one however the socket shows it.
	ip := addr.Addr().As16()
	j.in = binary.BigEndian.AppendUint64(j.in[:0], uint64(slot))
	j.in = append(j.in, ip[:]...)
	j.in = binary.BigEndian.AppendUint16(j.in, addr.Port())
	j.in = append(j.in, client[:]...)
	j.mac.Reset()
	j.mac.Write(j.in)
	j.sum = j.mac.Sum(j.sum[:0])
	s := wire.SessionID(j.sum[:wire.SessionIDSize])
	if s.IsZero() {
		s[0] = 1
	}
	return s
}
