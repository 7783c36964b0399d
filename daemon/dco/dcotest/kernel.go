// Package dcotest plays the kernel's side of the family "ovpn" for tests: it takes the bytes of requests, keeps peers and keys as the
// kernel does, seals and opens packets under them, and tells what the kernel tells on its own account.
package dcotest

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/moongate-vpn/moongate/daemon/dco"
)

// Kernel implements dco.Kernel for one interface.
type Kernel struct {
	ifindex uint32

	mu     sync.Mutex
	peers  map[uint32]*peer
	told   []string // requests, as "key-new 5 secondary 3"
	device *dco.Device
}

type peer struct {
	dco.Peer
	slots [2]*slot
}

// slot holds a key.
type slot struct {
	id                 uint8
	seal, open         cipher.AEAD
	sealTail, openTail [dco.NonceTailSize]byte
	sent               uint32
}

// New returns a kernel with an interface and no peers, and the device that works on it.
func New(ifindex uint32) (*Kernel, *dco.Device) {
	k := &Kernel{ifindex: ifindex, peers: make(map[uint32]*peer)}
	k.device = dco.NewDevice(k, ifindex)
	return k, k.device
}

// Do implements dco.Kernel. Messages pass through their bytes in both directions.
func (k *Kernel) Do(m *dco.Message) (*dco.Message, error) {
	b, err := m.MarshalBinary()
	if err != nil {
		return nil, err
	}
	if m, err = dco.Parse(b); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if m.Ifindex != k.ifindex {
		return nil, syscall.ENODEV
	}
	k.told = append(k.told, describe(m))
	if m.Key != nil {
		return nil, k.key(m.Command, m.Key)
	}
	p := k.peers[m.Peer.ID]
	switch {
	case m.Command == dco.PeerNew && p != nil:
		return nil, syscall.EEXIST
	case m.Command == dco.PeerNew:
		k.peers[m.Peer.ID] = &peer{Peer: *m.Peer}
		return nil, nil
	case p == nil:
		return nil, dco.ErrNoPeer
	}
	switch m.Command {
	case dco.PeerSet:
		if m.Peer.Keepalive.Set {
			p.Keepalive = m.Peer.Keepalive
		}
	case dco.PeerDel:
		delete(k.peers, p.ID)
	case dco.PeerGet:
		answer := p.Peer
		answer.Socket = 0
		return &dco.Message{Command: m.Command, Ifindex: k.ifindex, Peer: &answer}, nil
	}
	return nil, nil
}

func describe(m *dco.Message) string {
	slots := [...]string{"primary", "secondary"}
	switch {
	case m.Key == nil:
		return fmt.Sprintf("%v %d", m.Command, m.Peer.ID)
	case m.Command == dco.KeyNew:
		return fmt.Sprintf("%v %s %d", m.Command, slots[m.Key.Slot], m.Key.ID)
	case m.Command == dco.KeySwap:
		return m.Command.String()
	}
	return fmt.Sprintf("%v %s", m.Command, slots[m.Key.Slot])
}

func (k *Kernel) key(c dco.Command, key *dco.Key) error {
	p := k.peers[key.PeerID]
	if p == nil {
		return dco.ErrNoPeer
	}
	switch c {
	case dco.KeyNew:
		s, err := newSlot(key)
		if err != nil {
			return err
		}
		if other := p.slots[1-key.Slot]; other != nil && other.id == key.ID {
			return syscall.EEXIST
		}
		p.slots[key.Slot] = s
	case dco.KeySwap:
		if p.slots[dco.Secondary] == nil {
			return syscall.ENOENT
		}
		slices.Reverse(p.slots[:])
	case dco.KeyDel:
		if p.slots[key.Slot] == nil {
			return syscall.ENOENT
		}
		p.slots[key.Slot] = nil
	}
	return nil
}

func newSlot(k *dco.Key) (*slot, error) {
	s := &slot{id: k.ID, sealTail: k.Encrypt.NonceTail, openTail: k.Decrypt.NonceTail}
	aead := func(key []byte) (cipher.AEAD, error) {
		switch k.Cipher {
		case dco.CipherAESGCM:
			block, err := aes.NewCipher(key)
			if err != nil {
				return nil, err
			}
			return cipher.NewGCM(block)
		case dco.CipherChaCha20Poly1305:
			return chacha20poly1305.New(key)
		}
		return nil, syscall.EOPNOTSUPP
	}
	var err error
	if s.seal, err = aead(k.Encrypt.Key); err != nil {
		return nil, err
	}
	s.open, err = aead(k.Decrypt.Key)
	return s, err
}

// Told returns the requests so far, but those for counters.
func (k *Kernel) Told() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(k.told), func(s string) bool { return len(s) > 8 && s[:8] == "peer-get" })
}

// Peer returns a peer as the kernel has it.
func (k *Kernel) Peer(id uint32) (dco.Peer, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.peers[id]; p != nil {
		return p.Peer, true
	}
	return dco.Peer{}, false
}

// Primary is the id of the key that packets of a peer are sealed with, false without any.
func (k *Kernel) Primary(id uint32) (keyID uint8, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.peers[id]; p != nil && p.slots[dco.Primary] != nil {
		return p.slots[dco.Primary].id, true
	}
	return 0, false
}

// Errors of packets.
var (
	ErrNoKey  = errors.New("dcotest: no key")
	ErrPacket = errors.New("dcotest: bad packet")
)

// Seal makes the packet of a payload for a peer and counts it:
//
//	opcode 9, key id, peer-id | packet id u32 | tag 16 | ciphertext
func (k *Kernel) Seal(id uint32, payload []byte) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.peers[id]
	if p == nil || p.slots[dco.Primary] == nil {
		return nil, ErrNoKey
	}
	s := p.slots[dco.Primary]
	s.sent++
	head := binary.BigEndian.AppendUint32(nil, uint32(9<<3|s.id)<<24|id)
	head = binary.BigEndian.AppendUint32(head, s.sent)
	sealed := s.seal.Seal(nil, append(head[4:8:8], s.sealTail[:]...), payload, head)
	n := len(sealed) - s.seal.Overhead()
	pkt := slices.Concat(head, sealed[n:], sealed[:n])
	p.Link.TxBytes += uint64(len(pkt))
	p.Link.TxPackets++
	p.VPN.TxBytes += uint64(len(payload))
	p.VPN.TxPackets++
	return pkt, nil
}

// Open opens a packet, by the peer-id in it, and counts it.
func (k *Kernel) Open(pkt []byte) ([]byte, error) {
	if len(pkt) < 24 || pkt[0]>>3 != 9 {
		return nil, ErrPacket
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.peers[binary.BigEndian.Uint32(pkt)&dco.MaxPeerID]
	if p == nil {
		return nil, dco.ErrNoPeer
	}
	for _, s := range p.slots {
		if s == nil || s.id != pkt[0]&7 {
			continue
		}
		payload, err := s.open.Open(nil, append(slices.Clone(pkt[4:8]), s.openTail[:]...), slices.Concat(pkt[24:], pkt[8:24]), pkt[:8])
		if err != nil {
			return nil, ErrPacket
		}
		p.Link.RxBytes += uint64(len(pkt))
		p.Link.RxPackets++
		p.VPN.RxBytes += uint64(len(payload))
		p.VPN.RxPackets++
		return payload, nil
	}
	return nil, ErrNoKey
}

// Give gives a peer up for a reason and tells so.
func (k *Kernel) Give(id uint32, why dco.DelReason) {
	k.mu.Lock()
	delete(k.peers, id)
	k.mu.Unlock()
	k.notify(&dco.Message{Command: dco.PeerDelNtf, Ifindex: k.ifindex, Peer: &dco.Peer{ID: id, DelReason: why}})
}

// Spend tells that the packet ids of a peer's primary key are used up.
func (k *Kernel) Spend(id uint32) {
	keyID, _ := k.Primary(id)
	k.notify(&dco.Message{Command: dco.KeySwapNtf, Ifindex: k.ifindex, Key: &dco.Key{PeerID: id, ID: keyID}})
}

func (k *Kernel) notify(m *dco.Message) { k.device.Notify(m) }
