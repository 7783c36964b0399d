package ctrlwrap

import (
	"crypto/hmac"
	"hash"
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// NewTLSAuth is the wrapper of tls-auth. Both ends must agree on digest, and have opposite directions or none.
func NewTLSAuth(key *keys.StaticKey, dir keys.Direction, digest keys.Digest) Wrapper {
	return newTLSAuth(key, dir, digest)
}

func newTLSAuth(key *keys.StaticKey, dir keys.Direction, digest keys.Digest) *tlsAuth {
	n := digest.Size
	return &tlsAuth{
		send:    hmac.New(digest.New, key.HMAC(dir.Send())[:n]),
		receive: hmac.New(digest.New, key.HMAC(dir.Receive())[:n]),
		size:    n,
		receipt: receipt{window: newWindow()},
		sum:     make([]byte, 0, n),
	}
}

// tlsAuth is the HMAC wrapping.
//
//	wire   byte0 | session id | HMAC | packet id | time | body
//	input  packet id | time | byte0 | session id | body
//
// The order of the input is not the order on the wire, and the HMAC key is as long as the digest.
type tlsAuth struct {
	send, receive hash.Hash
	size          int // of the HMAC, bytes
	counter       counter
	receipt
	sum []byte
}

func (t *tlsAuth) Overhead() int { return t.size + replayIDSize }

func (t *tlsAuth) Wrap(dst []byte, op wire.Opcode, keyID uint8, sid wire.SessionID, body []byte, now time.Time) ([]byte, error) {
	id, senderTime := t.counter.next(now)
	start := len(dst)
	dst = wire.AppendControlHeader(dst, op, keyID, sid)
	mac := len(dst)
	for range t.size {
		dst = append(dst, 0)
	}
	dst = appendReplayID(dst, id, senderTime)
	dst = append(dst, body...)
	copy(dst[mac:], t.hmac(t.send, dst[start:]))
	return dst, nil
}

func (t *tlsAuth) Unwrap(pkt []byte, now time.Time) (wire.Opcode, uint8, wire.SessionID, []byte, error) {
	op, keyID, sid, body, id, senderTime, err := t.open(pkt)
	if err == nil {
		err = t.check(id, senderTime, now)
	}
	if err != nil {
		return 0, 0, wire.SessionID{}, nil, err
	}
	return op, keyID, sid, body, nil
}

// open is Unwrap without the replay check.
func (t *tlsAuth) open(pkt []byte) (op wire.Opcode, keyID uint8, sid wire.SessionID, body []byte, id, senderTime uint32, err error) {
	op, keyID, sid, rest, err := wire.ParseControlHeader(pkt)
	if err != nil {
		return
	}
	if len(rest) < t.Overhead() {
		err = ErrShort
		return
	}
	if !hmac.Equal(rest[:t.size], t.hmac(t.receive, pkt)) {
		err = ErrAuth
		return
	}
	id, senderTime = parseReplayID(rest[t.size:])
	return op, keyID, sid, rest[t.size+replayIDSize:], id, senderTime, nil
}

// hmac computes the HMAC of a packet laid out as on the wire, whatever stands in its HMAC field.
func (t *tlsAuth) hmac(h hash.Hash, pkt []byte) []byte {
	after := wire.ControlHeaderSize + t.size
	h.Reset()
	h.Write(pkt[after : after+replayIDSize])
	h.Write(pkt[:wire.ControlHeaderSize])
	h.Write(pkt[after+replayIDSize:])
	t.sum = h.Sum(t.sum[:0])
	return t.sum
}
