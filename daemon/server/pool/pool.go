// Package pool hands out tunnel addresses to the clients of a server.
//
// IPv4 and IPv6 addresses share one index: slot k is the k-th IPv4 address (or the k-th block of four under
// topology net30) and base+k for IPv6. A client that returns gets the slot it held last as long as no other client
// else was given it, and a newcomer gets the slot that has been free the longest.
//
// Rule: docs/protocol.md#82-address-pool and docs/protocol.md#83-the-ifconfig-pool-persist-file.
package pool

import (
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
)

// ErrExhausted means that no slot is free.
var ErrExhausted = errors.New("no free --ifconfig-pool addresses are available")

// maxSlots bounds a pool: stock refuses more than 65536 addresses as well.
const maxSlots = 65536

// Config says which addresses a pool owns.
type Config struct {
	// Start and End are the first and last IPv4 address; both zero for a pool without IPv4.
	Start, End netip.Addr
	// Net30 hands out blocks of four: the server's side is the block's second address, the client's its third.
	Net30 bool
	// Base6 is the first IPv6 address and the length of the prefix that goes with it; zero for a pool without IPv6.
	Base6 netip.Prefix
	// DuplicateCN gives every session the first free slot and remembers no client.
	DuplicateCN bool
}

// Lease holds the addresses of one client.
type Lease struct {
	// Slot is the index of the lease in the pool.
	Slot int
	// IPv4 is the client's address; Local4 the server's side of it under net30. Zero without IPv4.
	IPv4, Local4 netip.Addr
	// IPv6 is the client's address; zero without IPv6.
	IPv6 netip.Addr
}

// Pool is a set of slots. It is not safe for concurrent use: the server's control plane owns it.
type Pool struct {
	cfg   Config
	slots []slot
	last  map[string]int // common name -> slot it held last
	// free slots are chained from the one released longest ago to the newest, so that Acquire is O(1).
	oldest, newest int
}

type slot struct {
	commonName string
	inUse      bool
	fixed      bool // a read-only persist file reserves it for commonName
	prev, next int  // neighbours in the chain of free slots, none at the ends
}

const none = -1

// Size is the number of slots of a pool, or an error when the range is empty, upside down or too large.
func (cfg Config) Size() (int, error) {
	size4, size6 := 0, 0
	if cfg.Start.IsValid() {
		lo, hi := v4(cfg.Start), v4(cfg.End)
		if lo > hi {
			return 0, fmt.Errorf("--ifconfig-pool start IP [%s] is greater than end IP [%s]", cfg.Start, cfg.End)
		}
		if cfg.Net30 {
			size4 = int(((hi | 3) - (lo &^ 3) + 1) / 4)
		} else {
			size4 = int(hi-lo) + 1
		}
		if size4 > maxSlots {
			return 0, fmt.Errorf("--ifconfig-pool address range is too large [%s -> %s].  Current maximum is %d addresses", cfg.Start, cfg.End, maxSlots)
		}
		if size4 < 2 && cfg.Net30 {
			return 0, fmt.Errorf("IPv4 pool size is too small (%d), must be at least 2", size4)
		}
	}
	if cfg.Base6.IsValid() {
		size6 = Size6(cfg.Base6)
	}
	size := max(size4, size6)
	if size4 > 0 && size6 > 0 {
		size = min(size4, size6)
	}
	if size == 0 {
		return 0, errors.New("address pool is empty")
	}
	return size, nil
}

// New makes a pool, or returns the error of [Config.Size].
func New(cfg Config) (*Pool, error) {
	size, err := cfg.Size()
	if err != nil {
		return nil, err
	}
	p := &Pool{cfg: cfg, slots: make([]slot, size), last: make(map[string]int), oldest: none, newest: none}
	for i := range p.slots {
		p.release(i)
	}
	return p, nil
}

// Size is the number of clients the pool can serve.
func (p *Pool) Size() int { return len(p.slots) }

// Acquire leases a slot to the client with this common name, or returns ErrExhausted.
func (p *Pool) Acquire(commonName string) (Lease, error) {
	i := p.oldest
	if !p.cfg.DuplicateCN {
		if held, ok := p.last[commonName]; ok && !p.slots[held].inUse {
			i = held
		}
	}
	if i == none {
		return Lease{}, ErrExhausted
	}
	p.take(i, commonName)
	return p.lease(i), nil
}

// ErrInUse means that a slot is in use, or is none of the pool.
var ErrInUse = errors.New("the slot of the --ifconfig-pool is in use")

// Claim leases a certain slot, which a fleet chose, or returns ErrInUse.
func (p *Pool) Claim(slot int, commonName string) (Lease, error) {
	if slot < 0 || slot >= len(p.slots) || p.slots[slot].inUse {
		return Lease{}, ErrInUse
	}
	p.take(slot, commonName)
	return p.lease(slot), nil
}

// Describe tells which addresses a pool has: two pools of one text give a slot the same addresses.
func (cfg Config) Describe() string {
	var parts []string
	if cfg.Start.IsValid() {
		parts = append(parts, fmt.Sprintf("%s-%s", cfg.Start, cfg.End))
		if cfg.Net30 {
			parts = append(parts, "net30")
		}
	}
	if cfg.Base6.IsValid() {
		parts = append(parts, cfg.Base6.String())
	}
	return strings.Join(parts, " ")
}

// Release returns a lease. The slot remembers its holder until another client needs it.
func (p *Pool) Release(l Lease) {
	if l.Slot < 0 || l.Slot >= len(p.slots) || !p.slots[l.Slot].inUse {
		panic("pool: lease returned twice")
	}
	p.slots[l.Slot].inUse = false
	if !p.slots[l.Slot].fixed {
		p.release(l.Slot)
	}
}

// Grow takes over a larger range that begins where this pool begins. Leases stay as they are. It returns an
// error, and changes nothing, for anything but growth.
func (p *Pool) Grow(cfg Config) error {
	grown, err := New(cfg)
	if err != nil {
		return err
	}
	if cfg.Start != p.cfg.Start || cfg.Base6 != p.cfg.Base6 || cfg.Net30 != p.cfg.Net30 || len(grown.slots) < len(p.slots) {
		return errors.New("a pool in use can only grow at its end")
	}
	for i := len(p.slots); i < len(grown.slots); i++ {
		p.slots = append(p.slots, slot{})
		p.release(i)
	}
	p.cfg = cfg
	return nil
}

// take moves slot i from the free chain to commonName.
func (p *Pool) take(i int, commonName string) {
	s := &p.slots[i]
	if !s.fixed {
		p.unlink(i)
		if s.commonName != "" && s.commonName != commonName && p.last[s.commonName] == i {
			delete(p.last, s.commonName)
		}
	}
	s.inUse, s.commonName = true, commonName
	if !p.cfg.DuplicateCN {
		p.last[commonName] = i
	}
}

// release appends slot i to the free chain.
func (p *Pool) release(i int) {
	s := &p.slots[i]
	s.prev, s.next = p.newest, none
	if p.newest == none {
		p.oldest = i
	} else {
		p.slots[p.newest].next = i
	}
	p.newest = i
}

func (p *Pool) unlink(i int) {
	s := &p.slots[i]
	if s.prev == none {
		p.oldest = s.next
	} else {
		p.slots[s.prev].next = s.next
	}
	if s.next == none {
		p.newest = s.prev
	} else {
		p.slots[s.next].prev = s.prev
	}
	s.prev, s.next = none, none
}

func (p *Pool) lease(i int) Lease {
	l := Lease{Slot: i}
	if p.cfg.Start.IsValid() {
		if p.cfg.Net30 {
			block := v4(p.cfg.Start)&^3 + 4*uint32(i)
			l.Local4, l.IPv4 = addr4(block+1), addr4(block+2)
		} else {
			l.IPv4 = addr4(v4(p.cfg.Start) + uint32(i))
		}
	}
	if p.cfg.Base6.IsValid() {
		l.IPv6 = plus(p.cfg.Base6.Addr(), i)
	}
	return l
}

// slotOf finds the slot of an address as a persist file names it: the block base, the address itself, or none.
func (p *Pool) slotOf(a4, a6 netip.Addr) int {
	if a4.IsValid() && p.cfg.Start.IsValid() {
		n := int64(v4(a4)) - int64(v4(p.cfg.Start))
		if p.cfg.Net30 {
			n = (int64(v4(a4)&^3) - int64(v4(p.cfg.Start)&^3)) / 4
		}
		if n >= 0 && n < int64(len(p.slots)) {
			return int(n)
		}
		return none
	}
	if a6.IsValid() && p.cfg.Base6.IsValid() {
		base, want := p.cfg.Base6.Addr().As16(), a6.As16()
		d := new(big.Int).Sub(new(big.Int).SetBytes(want[:]), new(big.Int).SetBytes(base[:]))
		if d.Sign() >= 0 && d.Cmp(big.NewInt(int64(len(p.slots)))) < 0 {
			return int(d.Int64())
		}
	}
	return none
}

// Size6 counts the addresses from base to the end of its prefix, as far as a pool may reach.
func Size6(base netip.Prefix) int {
	bits := 128 - base.Bits()
	if bits >= 17 {
		// At least twice maxSlots; a base near the end of the prefix is the administrator's decision.
		return maxSlots
	}
	a := base.Addr().As16()
	low := uint32(a[13])<<16 | uint32(a[14])<<8 | uint32(a[15])
	span := uint32(1) << bits
	return min(int(span-low%span), maxSlots)
}

func v4(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func addr4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// plus returns a+n for an IPv6 address.
func plus(a netip.Addr, n int) netip.Addr {
	b := a.As16()
	carry := uint64(n)
	for i := 15; i >= 0 && carry > 0; i-- {
		carry += uint64(b[i])
		b[i] = byte(carry)
		carry >>= 8
	}
	return netip.AddrFrom16(b)
}
