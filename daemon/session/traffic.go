package session

import (
	"sync/atomic"
	"time"
)

// Traffic counts what a session moves, and remembers when it last heard and sent something. Begin comes first; the other
// methods and the counters are safe for concurrent use, and cheap enough for every batch of packets.
//
// Times are kept as nanoseconds since the beginning. They follow the monotonic clock when the times handed in do: setting the
// system's clock ends no session.
type Traffic struct {
	// Bytes on the link, and of payload at the device without pings.
	LinkIn, LinkOut, TunIn, TunOut atomic.Uint64
	// Opened counts the payload bytes of authentic packets, pings included.
	Opened atomic.Uint64

	began       time.Time
	heard, sent atomic.Int64 // 0: never
}

// Begin sets the beginning of the session.
func (t *Traffic) Begin(now time.Time) { t.began = now }

// Heard notes an authentic packet of the peer.
func (t *Traffic) Heard(now time.Time) { t.heard.Store(t.since(now)) }

// Sent notes a packet to the peer.
func (t *Traffic) Sent(now time.Time) { t.sent.Store(t.since(now)) }

func (t *Traffic) since(now time.Time) int64 { return max(1, int64(now.Sub(t.began))) }

// LastHeard is the time of the peer's last authentic packet, or of the beginning. The peer has been heard at all when ok.
func (t *Traffic) LastHeard() (at time.Time, ok bool) {
	d := t.heard.Load()
	return t.began.Add(time.Duration(d)), d != 0
}

// LastSent is the time of the last packet to the peer, zero before the first.
func (t *Traffic) LastSent() time.Time {
	d := t.sent.Load()
	if d == 0 {
		return time.Time{}
	}
	return t.began.Add(time.Duration(d))
}

// Moved is the payload of both directions, in bytes.
func (t *Traffic) Moved() uint64 { return t.TunIn.Load() + t.TunOut.Load() }
