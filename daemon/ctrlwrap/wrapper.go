package ctrlwrap

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/moongate-vpn/moongate/daemon/internal/replay"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Errors of Unwrap and Verify. A packet that gives one is dropped and counted; the session goes on.
var (
	ErrShort  = wire.ErrShort
	ErrOpcode = wire.ErrOpcode
	ErrAuth   = errors.New("packet authentication failed")
	ErrReplay = errors.New("bad packet ID (may be a replay)")
	ErrSize   = errors.New("control packet too large")
	ErrWKc    = keys.ErrWKc                                       // the wrapped client key is malformed, or not for this server
	ErrNoWKc  = errors.New("packet without a wrapped client key") // to a server of tls-crypt-v2 alone
)

// Wrapper protects the control packets of one session in both directions. It is not safe for concurrent use.
type Wrapper interface {
	// Wrap appends the protected packet to dst, which must not overlap body. body is the encoded wire.ControlBody;
	// now stamps the replay id when its count starts. ErrSize is the only error.
	Wrap(dst []byte, op wire.Opcode, keyID uint8, sid wire.SessionID, body []byte, now time.Time) ([]byte, error)

	// Unwrap verifies a whole packet and checks for replay, without counting it as received: Commit does, when the
	// caller has found all of it good. Everyone who has a shared key can make packets that unwrap. body aliases pkt or a
	// buffer of the wrapper, until the next call. Errors: those of
	// wire.ParseControlHeader, ErrShort, ErrSize, ErrAuth, ErrReplay, ErrWKc.
	Unwrap(pkt []byte, now time.Time) (op wire.Opcode, keyID uint8, sid wire.SessionID, body []byte, err error)

	// Commit counts the packet unwrapped last as received: it is a replay from then on.
	Commit(now time.Time)

	// Overhead is the number of bytes Wrap adds to byte0, session id and body, not counting a Trailer.
	Overhead() int
}

// Trailer is the number of bytes w appends behind packets of kind op: the wrapped client key of a tls-crypt-v2
// client behind opcodes 10 and 11, otherwise 0. Payloads of such packets are to be shortened by it.
func Trailer(w Wrapper, op wire.Opcode) int {
	if c, ok := w.(*tlsCrypt); ok && op.HasWKc() {
		return len(c.wkc)
	}
	return 0
}

// ReplayState is how far w has received, for a Resume after a restart; zero for plain packets.
func ReplayState(w Wrapper) replay.State {
	if r := window(w); r != nil {
		return r.State()
	}
	return replay.State{}
}

// Resume makes w refuse as replays what a wrapper of that state has received. It comes before the first packet.
func Resume(w Wrapper, s replay.State) {
	if r := window(w); r != nil {
		r.Resume(s)
	}
}

func window(w Wrapper) *replay.Window {
	switch w := w.(type) {
	case *tlsAuth:
		return w.window
	case *tlsCrypt:
		return w.window
	default:
		return nil
	}
}

// maxBody bounds what is copied into a wrapper's buffer: the largest packet a peer may be configured to send, with
// room for what a datagram can hold on top.
const maxBody = wire.MaxControlPacket

// replayIDSize is the encoded size of packet id | time.
const replayIDSize = 8

// NewPlain is the wrapper of sessions without tls-auth or tls-crypt. It has no replay protection; the reliable layer
// and TLS have to do.
func NewPlain() Wrapper { return plain{} }

type plain struct{}

func (plain) Wrap(dst []byte, op wire.Opcode, keyID uint8, sid wire.SessionID, body []byte, _ time.Time) ([]byte, error) {
	dst = wire.AppendControlHeader(dst, op, keyID, sid)
	return append(dst, body...), nil
}

func (plain) Unwrap(pkt []byte, _ time.Time) (wire.Opcode, uint8, wire.SessionID, []byte, error) {
	return wire.ParseControlHeader(pkt)
}

func (plain) Commit(time.Time) {}

func (plain) Overhead() int { return 0 }

// counter numbers the packets of one wrap context. The time is taken with the first packet and stays, until the
// count wraps and both start again.
type counter struct {
	id   uint32
	time uint32
}

func (c *counter) next(now time.Time) (id, senderTime uint32) {
	if c.time == 0 || c.id == ^uint32(0) {
		if c.id == ^uint32(0) {
			c.id = 0
		}
		// Two wraps within a second would repeat ids.
		c.time = max(uint32(now.Unix()), c.time+1)
	}
	c.id++
	return c.id, c.time
}

// receipt is a replay window and the id of the packet that was unwrapped last.
type receipt struct {
	window   *replay.Window
	id, time uint32 // id 0: none
}

// check notes an id and reports whether it is new.
func (r *receipt) check(id, senderTime uint32, now time.Time) error {
	r.id = 0
	if !r.window.CheckLong(id, senderTime, now) {
		return ErrReplay
	}
	r.id, r.time = id, senderTime
	return nil
}

// Commit implements Wrapper.
func (r *receipt) Commit(now time.Time) {
	if r.id != 0 {
		r.window.AcceptLong(r.id, r.time, now)
		r.id = 0
	}
}

func newWindow() *replay.Window { return replay.New(replay.DefaultSize, replay.DefaultLimit) }

func appendReplayID(dst []byte, id, senderTime uint32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, id)
	return binary.BigEndian.AppendUint32(dst, senderTime)
}

func parseReplayID(b []byte) (id, senderTime uint32) {
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
}
