package dco

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/keys"
)

// Kernel carries messages to the kernel. It returns the answer of a command that has one, PeerGet and KeyGet, else nil, and the kernel's
// refusal as an error. Calls may come from several goroutines.
type Kernel interface {
	Do(m *Message) (*Message, error)
}

// Device is an interface of the family "ovpn". It implements engine.Offload.
//
//	SetKey    first key: KeyNew primary. Later ones: KeyNew secondary, and KeySwap when they may be used
//	DropKey   KeyDel of its slot
//	Tick      the swap that is due, PeerGet
type Device struct {
	kernel  Kernel
	ifindex uint32

	mu    sync.Mutex // guards peers
	peers map[uint32]*peer
}

// NewDevice returns the device of an interface that exists.
func NewDevice(k Kernel, ifindex uint32) *Device {
	return &Device{kernel: k, ifindex: ifindex, peers: make(map[uint32]*peer)}
}

// peer is one that the kernel has.
type peer struct {
	d      *Device
	id     uint32
	role   keys.Role
	cipher string
	gone   func(engine.Gone)
	once   sync.Once // of gone

	slots   [2]*held     // by Slot; nil: empty
	swapAt  time.Time    // the secondary key is to be primary then; zero: it is the older one
	spent   atomic.Int32 // 1 + the key id whose packet ids are used up, 0: none
	counted Peer         // as of the last Tick
}

// held is a key that the kernel has.
type held struct {
	id   uint8
	from Peer // counters when it came
}

// Attach implements engine.Offload.
func (d *Device) Attach(p engine.OffloadPeer, gone func(engine.Gone)) (engine.Offloaded, error) {
	if _, ok := cipherOf(p.Params.Cipher); !ok {
		return nil, fmt.Errorf("cipher %s: %w", p.Params.Cipher, ErrValue)
	}
	n := &peer{d: d, id: p.Params.PeerID, role: p.Params.Role, cipher: p.Params.Cipher, gone: gone}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.peers[n.id] != nil {
		return nil, fmt.Errorf("peer-id %d is taken: %w", n.id, ErrValue)
	}
	err := d.do(PeerNew, &Peer{ID: n.id, Remote: p.Remote, Local: p.Local, Socket: uint32(p.Socket), VPN4: p.VPN4, VPN6: p.VPN6}, nil)
	if err != nil {
		return nil, err
	}
	d.peers[n.id] = n
	return n, nil
}

func (d *Device) do(c Command, p *Peer, k *Key) error {
	_, err := d.ask(c, p, k)
	return err
}

func (d *Device) ask(c Command, p *Peer, k *Key) (*Message, error) {
	answer, err := d.kernel.Do(&Message{Command: c, Ifindex: d.ifindex, Peer: p, Key: k})
	if err != nil {
		return nil, fmt.Errorf("kernel, %v: %w", c, err)
	}
	return answer, nil
}

// Notify takes a notification of the kernel. Those of other interfaces and unknown peers are passed over.
func (d *Device) Notify(m *Message) {
	if m.Ifindex != d.ifindex {
		return
	}
	switch {
	case m.Command == PeerDelNtf && m.Peer != nil:
		if p := d.find(m.Peer.ID); p != nil {
			p.deleted(m.Peer.DelReason)
		}
	case m.Command == KeySwapNtf && m.Key != nil:
		if p := d.find(m.Key.PeerID); p != nil {
			p.spent.Store(int32(m.Key.ID) + 1)
		}
	}
}

func (d *Device) find(id uint32) *peer {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peers[id]
}

// deleted tells the owner that the kernel has given the peer up.
func (p *peer) deleted(why DelReason) {
	switch why {
	case DelUserspace: // we asked for it
	case DelExpired:
		p.once.Do(func() { p.gone(engine.GoneSilent) })
	default:
		p.once.Do(func() { p.gone(engine.GoneBroken) })
	}
}

// SetKey implements session.Plane.
func (p *peer) SetKey(keyID uint8, b *keys.Block, sendFrom time.Time) error {
	slot := Secondary
	switch primary := p.slots[Primary]; {
	case primary == nil || primary.id == keyID:
		slot = Primary
	case !p.swapAt.IsZero():
		if err := p.swap(); err != nil { // a newer one takes the place of the oldest
			return err
		}
	}
	key, err := p.key(keyID, slot, b)
	if err != nil {
		return err
	}
	defer key.wipe()
	if err := p.d.do(KeyNew, nil, key); err != nil {
		return err
	}
	p.spent.CompareAndSwap(int32(keyID)+1, 0) // of an older key with this id
	p.slots[slot] = &held{keyID, p.counted}
	if slot == Secondary {
		p.swapAt = sendFrom
	}
	return nil
}

// key takes from b what the kernel wants: the leading bytes of the cipher's part, and the implicit IV.
func (p *peer) key(id uint8, slot Slot, b *keys.Block) (*Key, error) {
	suite, ok := data.Lookup(p.cipher)
	cipher, known := cipherOf(p.cipher)
	if !ok || !known {
		return nil, fmt.Errorf("cipher %s: %w", p.cipher, ErrValue)
	}
	direction := func(sender keys.Role) (d Direction) {
		d.Key = append(d.Key, b.Cipher(sender)[:suite.KeySize]...)
		copy(d.NonceTail[:], b.HMAC(sender))
		return d
	}
	return &Key{PeerID: p.id, Slot: slot, ID: id, Cipher: cipher, Encrypt: direction(p.role), Decrypt: direction(p.role.Peer())}, nil
}

func (k *Key) wipe() {
	clear(k.Encrypt.Key)
	clear(k.Decrypt.Key)
}

func (p *peer) swap() error {
	if err := p.d.do(KeySwap, nil, &Key{PeerID: p.id}); err != nil {
		return err
	}
	p.slots[Primary], p.slots[Secondary] = p.slots[Secondary], p.slots[Primary]
	p.swapAt = time.Time{}
	return nil
}

// DropKey implements session.Plane. The kernel sends with its primary key, which is dropped only after the other took its place.
func (p *peer) DropKey(keyID uint8) {
	if k := p.slots[Primary]; k != nil && k.id == keyID && p.slots[Secondary] != nil {
		if p.swap() != nil {
			return // the kernel has lost the peer: its notification ends the session
		}
	}
	for slot, k := range p.slots {
		if k == nil || k.id != keyID {
			continue
		}
		if Slot(slot) == Secondary {
			p.swapAt = time.Time{}
		}
		p.slots[slot] = nil
		_ = p.d.do(KeyDel, nil, &Key{PeerID: p.id, Slot: Slot(slot)})
	}
}

// PrimaryUsage implements session.Plane. Payload is as of the last Tick.
func (p *peer) PrimaryUsage() (data.KeyUsage, bool) {
	k := p.slots[Primary]
	if !p.swapAt.IsZero() {
		k = p.slots[Secondary]
	}
	if k == nil {
		return data.KeyUsage{}, false
	}
	now, then := &p.counted, &k.from
	return data.KeyUsage{
		KeyID: k.id, Sealed: now.Link.TxPackets - then.Link.TxPackets, SealedBytes: now.VPN.TxBytes - then.VPN.TxBytes,
		Opened: now.Link.RxPackets - then.Link.RxPackets, OpenedBytes: now.VPN.RxBytes - then.VPN.RxBytes,
		Renegotiate: p.spent.Load() == int32(k.id)+1,
	}, true
}

// Keep implements engine.Offloaded.
func (p *peer) Keep(ping, silence time.Duration) error {
	whole := func(d time.Duration) time.Duration { return (d + time.Second - 1).Truncate(time.Second) }
	return p.d.do(PeerSet, &Peer{ID: p.id, Keepalive: Keepalive{Set: true, Interval: whole(ping), Timeout: whole(silence)}}, nil)
}

// Tick implements engine.Offloaded.
func (p *peer) Tick(now time.Time) (engine.Moves, error) {
	if !p.swapAt.IsZero() && !now.Before(p.swapAt) {
		if err := p.swap(); err != nil {
			return engine.Moves{}, err
		}
	}
	answer, err := p.d.ask(PeerGet, &Peer{ID: p.id}, nil)
	if err != nil {
		return engine.Moves{}, err
	}
	if answer == nil || answer.Peer == nil {
		return engine.Moves{}, fmt.Errorf("kernel, %v: %w", PeerGet, ErrMessage)
	}
	p.counted = *answer.Peer
	link, vpn := &p.counted.Link, &p.counted.VPN
	return engine.Moves{LinkIn: link.RxBytes, LinkOut: link.TxBytes, TunIn: vpn.RxBytes, TunOut: vpn.TxBytes, PacketsIn: link.RxPackets}, nil
}

// Close implements engine.Offloaded.
func (p *peer) Close() error {
	p.d.mu.Lock()
	known := p.d.peers[p.id] == p
	if known {
		delete(p.d.peers, p.id)
	}
	p.d.mu.Unlock()
	if !known {
		return nil
	}
	if err := p.d.do(PeerDel, &Peer{ID: p.id}, nil); err != nil && !errors.Is(err, ErrNoPeer) {
		return err
	}
	return nil
}

// ErrNoPeer is the kernel's answer about a peer that it does not have.
var ErrNoPeer = errors.New("dco: no such peer")
