package dco

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/mdlayher/netlink"
)

// Slot is one of the two places for keys that a peer has. The kernel sends with the primary and opens with both.
type Slot uint32

// Slots.
const (
	Primary Slot = iota
	Secondary
)

// Cipher is the cipher of a key.
type Cipher uint32

// Ciphers that the kernel knows.
const (
	CipherNone Cipher = iota
	CipherAESGCM
	CipherChaCha20Poly1305
)

// cipherOf is the kernel's number for a data cipher of the options, false when only user space has it.
func cipherOf(name string) (Cipher, bool) {
	switch name {
	case "AES-128-GCM", "AES-192-GCM", "AES-256-GCM":
		return CipherAESGCM, true
	case "CHACHA20-POLY1305":
		return CipherChaCha20Poly1305, true
	case "none":
		return CipherNone, true
	}
	return 0, false
}

// MaxKeyID is the largest key id on the wire.
const MaxKeyID = 7

// NonceTailSize is the size of the implicit part of a nonce in bytes; the packet id stands in front of it.
const NonceTailSize = 8

// Key is a key of a peer. KeyDel, KeySwap and KeyGet tell the peer and, but for KeySwap, the slot; KeyNew tells all of it.
type Key struct {
	PeerID           uint32
	Slot             Slot
	ID               uint8 // on the wire, at most MaxKeyID
	Cipher           Cipher
	Encrypt, Decrypt Direction
}

// Direction is the secret of one direction.
type Direction struct {
	Key       []byte // as long as the cipher needs
	NonceTail [NonceTailSize]byte
}

// LogValue keeps the secret out of logs; String and GoString keep it out of everything else that is printed.
func (Direction) LogValue() slog.Value { return slog.StringValue("[key]") }

func (Direction) String() string   { return "[key]" }
func (Direction) GoString() string { return "[key]" }

// encode writes the attributes that a command about a key takes.
func (k *Key) encode(c Command, e *netlink.AttributeEncoder) error {
	switch {
	case k.PeerID > MaxPeerID:
		return fmt.Errorf("peer-id %d: %w", k.PeerID, ErrValue)
	case k.Slot > Secondary:
		return fmt.Errorf("slot %d: %w", k.Slot, ErrValue)
	}
	e.Uint32(keyPeerID, k.PeerID)
	if c == KeySwap {
		return nil
	}
	e.Uint32(keySlot, uint32(k.Slot))
	if c != KeyNew {
		return nil
	}
	if k.ID > MaxKeyID {
		return fmt.Errorf("key id %d: %w", k.ID, ErrValue)
	}
	if len(k.Encrypt.Key) > 256 || len(k.Decrypt.Key) > 256 {
		return fmt.Errorf("key longer than 256 bytes: %w", ErrValue)
	}
	e.Uint32(keyID, uint32(k.ID))
	e.Uint32(keyCipher, uint32(k.Cipher))
	e.Nested(keyEncrypt, k.Encrypt.encode)
	e.Nested(keyDecrypt, k.Decrypt.encode)
	return nil
}

func (d *Direction) encode(e *netlink.AttributeEncoder) error {
	e.Bytes(dirKey, d.Key)
	e.Bytes(dirNonceTail, d.NonceTail[:])
	return nil
}

// decodeKey reads what the kernel tells about a key, and what a request holds.
func decodeKey(d *netlink.AttributeDecoder) (*Key, error) {
	k := &Key{}
	var err error
	for d.Next() && err == nil {
		switch d.Type() {
		case keyPeerID:
			k.PeerID = d.Uint32()
		case keySlot:
			k.Slot = Slot(d.Uint32())
		case keyID:
			id := d.Uint32()
			if k.ID = uint8(id); id > MaxKeyID {
				err = fmt.Errorf("key id %d: %w", id, ErrMessage)
			}
		case keyCipher:
			k.Cipher = Cipher(d.Uint32())
		case keyEncrypt:
			d.Nested(k.Encrypt.decode)
		case keyDecrypt:
			d.Nested(k.Decrypt.decode)
		}
	}
	if err := errors.Join(err, d.Err()); err != nil {
		return nil, err
	}
	if k.PeerID > MaxPeerID || k.Slot > Secondary {
		return nil, fmt.Errorf("peer-id %d, slot %d: %w", k.PeerID, k.Slot, ErrMessage)
	}
	return k, nil
}

func (d *Direction) decode(ad *netlink.AttributeDecoder) error {
	for ad.Next() {
		switch ad.Type() {
		case dirKey:
			d.Key = ad.Bytes()
		case dirNonceTail:
			b := ad.Bytes()
			if len(b) != NonceTailSize {
				return fmt.Errorf("nonce tail of %d bytes: %w", len(b), ErrMessage)
			}
			d.NonceTail = [NonceTailSize]byte(b)
		}
	}
	return ad.Err()
}
