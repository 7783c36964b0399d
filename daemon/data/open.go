package data

import (
	"sync"
	"time"
)

// Open authenticates and decrypts one packet in place and returns what it carried. payload aliases pkt, with at least
// 12 bytes of pkt in front of it under AEAD ciphers, or is a fresh slice when it was decompressed or reassembled.
// Bytes of pkt are changed; nothing behind it is. One caller at a time.
//
// Every error is one of this package's Err variables and has been counted. Bad HMACs, tags and padding are all ErrAuth.
func (c *Channel) Open(pkt []byte, now time.Time) (payload []byte, kind Kind, err error) {
	payload, kind, err = c.open(pkt, now)
	if err != nil {
		c.Counters.drop(err)
	}
	return payload, kind, err
}

func (c *Channel) open(pkt []byte, now time.Time) ([]byte, Kind, error) {
	s, err := c.recvSlot(pkt)
	if err != nil {
		return nil, None, err
	}
	plain, err := s.recv.open(pkt, now)
	if err != nil {
		if err == ErrAuth { //nolint:errorlint // our own sentinel, never wrapped, and a hot path
			s.use.failed.Add(1)
		}
		return nil, None, err
	}
	s.use.opened.Add(1)
	s.use.openedBytes.Add(uint64(len(plain)))
	c.Counters.Opened.Add(1)
	c.Counters.OpenedBytes.Add(uint64(len(pkt)))
	raise(&c.Counters.MaxOpened, len(pkt))
	if c.p.Fragment > 0 {
		if plain, err = c.reassemble(plain, now); plain == nil {
			return nil, None, err
		}
	}
	payload, err := c.p.Framing.strip(plain, c.p.Decompress)
	if err != nil {
		return nil, None, err
	}
	payload, kind := classify(payload)
	if kind == Packet {
		c.clamp(payload)
	}
	return payload, kind, nil
}

// scratch is working memory of openers, shared by all channels so that an idle one owns none.
type scratch struct {
	nonce [12]byte
	buf   []byte
}

var scratches = sync.Pool{New: func() any { return &scratch{buf: make([]byte, 0, 2048)} }}
