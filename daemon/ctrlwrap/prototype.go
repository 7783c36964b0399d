package ctrlwrap

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// Server says which wrappings a server takes from unknown addresses. Without any, packets are plain. WrapKey may
// stand beside TLSCrypt or TLSAuthKey; opcodes 10 and 11 then go by it and all others by the static key. Unwrapped
// packets are never taken once one of them is set.
type Server struct {
	TLSCrypt   *keys.StaticKey // tls-crypt
	TLSAuthKey *keys.StaticKey // tls-auth, with Direction and Digest
	Direction  keys.Direction
	Digest     keys.Digest
	WrapKey    *keys.WrapKey // tls-crypt-v2
}

// Plain reports whether packets are not wrapped.
func (s *Server) Plain() bool { return s.TLSCrypt == nil && s.TLSAuthKey == nil && s.WrapKey == nil }

// Prototype verifies packets of unknown addresses and makes the wrappers of new sessions. It keeps nothing about a
// packet but scratch space; a prototype belongs to one goroutine.
type Prototype struct {
	cfg   Server
	crypt *tlsCrypt // set for tls-crypt
	auth  *tlsAuth  // set for tls-auth
}

// NewPrototype prepares the keys of cfg. TLSCrypt wins over TLSAuthKey; the option checks keep them apart.
func NewPrototype(cfg Server) *Prototype {
	p := &Prototype{cfg: cfg}
	switch {
	case cfg.TLSCrypt != nil:
		p.crypt = newTLSCrypt(cfg.TLSCrypt, keys.Server)
	case cfg.TLSAuthKey != nil:
		p.auth = newTLSAuth(cfg.TLSAuthKey, cfg.Direction, cfg.Digest)
	}
	return p
}

// First is a verified packet of an unknown address.
type First struct {
	Op      wire.Opcode
	KeyID   uint8
	Session wire.SessionID
	Body    []byte // aliases the packet or the prototype, until its next call

	// Of tls-crypt-v2 only.
	ClientKey *keys.StaticKey // Kc, nil under any other wrapping
	Metadata  []byte          // its own memory; to be judged only when the cookie came back
	Early     bool            // the client can negotiate early, shown by its replay id
}

// Verify checks the wrapping of the packet, not its replay id: the server cookie binds such packets to address and
// time instead. Errors: ErrShort, ErrOpcode, ErrSize, ErrAuth.
func (p *Prototype) Verify(pkt []byte) (First, error) {
	op, _, err := wire.ParseHeader(pkt)
	if err != nil {
		return First{}, err
	}
	if op.HasWKc() {
		return p.verifyV2(pkt)
	}
	var f First
	switch {
	case p.crypt != nil:
		f.Op, f.KeyID, f.Session, f.Body, _, _, err = p.crypt.open(pkt)
	case p.auth != nil:
		f.Op, f.KeyID, f.Session, f.Body, _, _, err = p.auth.open(pkt)
	case p.cfg.WrapKey != nil:
		return First{}, ErrNoWKc
	default:
		f.Op, f.KeyID, f.Session, f.Body, err = wire.ParseControlHeader(pkt)
	}
	if err != nil {
		return First{}, err
	}
	return f, nil
}

func (p *Prototype) verifyV2(pkt []byte) (First, error) {
	if p.cfg.WrapKey == nil {
		return First{}, ErrWKc
	}
	rest, kc, metadata, err := unwrapWKc(p.cfg.WrapKey, pkt)
	if err != nil {
		return First{}, err
	}
	f := First{ClientKey: kc, Metadata: metadata}
	var id uint32
	f.Op, f.KeyID, f.Session, f.Body, id, _, err = newTLSCryptV2Server(kc).open(rest)
	if err != nil {
		return First{}, err
	}
	f.Early = keys.SupportsEarly(id)
	return f, nil
}

// unwrapWKc cuts the wrapped client key off a packet with opcode 10 or 11 and opens it. rest, the packet without it,
// aliases pkt. Errors: ErrWKc for a key that is malformed or not for this server, ErrShort for a packet too short
// to be a control packet in front of it.
func unwrapWKc(key *keys.WrapKey, pkt []byte) (rest []byte, kc *keys.StaticKey, metadata []byte, err error) {
	rest, wkc, err := keys.SplitWKc(pkt)
	if err != nil {
		return nil, nil, nil, err
	}
	if len(rest) < wire.ControlHeaderSize+cryptOverhead {
		return nil, nil, nil, ErrShort
	}
	kc, metadata, err = key.Unwrap(wkc)
	if err != nil {
		return nil, nil, nil, err
	}
	return rest, kc, metadata, nil
}

// New makes the wrapper of a session that begins with f. answered is the number of packets already sent to this
// client without state, 1 after a cookie round trip and else 0: the session counts on from there.
func (p *Prototype) New(f *First, answered uint32) Wrapper {
	switch {
	case f.ClientKey != nil:
		c := newTLSCryptV2Server(f.ClientKey)
		c.counter.id = answered
		return c
	case p.crypt != nil:
		c := newTLSCrypt(p.cfg.TLSCrypt, keys.Server)
		c.counter.id = answered
		return c
	case p.auth != nil:
		a := newTLSAuth(p.cfg.TLSAuthKey, p.cfg.Direction, p.cfg.Digest)
		a.counter.id = answered
		return a
	default:
		return NewPlain()
	}
}

// Answer appends the one packet a server sends to f without keeping state: a reset with replay id 1 at now.
func (p *Prototype) Answer(dst []byte, f *First, op wire.Opcode, sid wire.SessionID, body []byte, now time.Time) ([]byte, error) {
	var w Wrapper
	switch {
	case f.ClientKey != nil:
		w = newTLSCryptV2Server(f.ClientKey)
	case p.crypt != nil:
		p.crypt.counter = counter{}
		w = p.crypt
	case p.auth != nil:
		p.auth.counter = counter{}
		w = p.auth
	default:
		w = NewPlain()
	}
	return w.Wrap(dst, op, f.KeyID, sid, body, now)
}

// StaticKey is the key that dynamic tls-crypt of a session beginning with f is combined with; nil for plain packets.
func (p *Prototype) StaticKey(f *First) *keys.StaticKey {
	switch {
	case f.ClientKey != nil:
		return f.ClientKey
	case p.crypt != nil:
		return p.cfg.TLSCrypt
	case p.auth != nil:
		return p.cfg.TLSAuthKey
	default:
		return nil
	}
}
