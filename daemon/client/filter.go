package client

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
)

// filter applies options to the packets of a tun device on their way: client-nat, the check for packets that would run
// in a circle, shaper. A nil filter does nothing. Only the reader of the device calls outbound and wait; inbound has one caller.
type filter struct {
	nat    []natRule
	server netip.Addr // outer address of the server; invalid: not looked for
	looped func()     // a packet to the server itself was dropped

	rate int       // bytes per second, 0 no limit
	free time.Time // when the next packet may leave
}

// natRule maps the addresses of a network to those of another one of the same size, and back.
type natRule struct {
	source             bool // outbound packets: source addresses, else destinations
	local, alias, mask uint32
}

// newFilter returns nil when nothing is asked for.
func newFilter(o *config.Options, server netip.Addr, looped func()) *filter {
	f := &filter{rate: o.Shaper, looped: looped}
	if o.DevType == config.DevTun {
		for _, r := range o.ClientNAT {
			mask := word(r.Netmask)
			f.nat = append(f.nat, natRule{source: r.Source, local: word(r.Network) & mask, alias: word(r.Foreign) & mask, mask: mask})
		}
		if !o.AllowRecursiveRouting {
			f.server = server.Unmap()
		}
	}
	if f.rate == 0 && len(f.nat) == 0 && !f.server.IsValid() {
		return nil
	}
	return f
}

func word(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// outbound rewrites a packet from the device and reports whether it may leave.
func (f *filter) outbound(p []byte) bool {
	switch {
	case len(p) >= 20 && p[0]>>4 == 4:
		if f.server.Is4() && netip.AddrFrom4([4]byte(p[16:20])) == f.server {
			f.looped()
			return false
		}
		for _, r := range f.nat {
			r.apply(p, r.source, r.local, r.alias)
		}
	case len(p) >= 40 && p[0]>>4 == 6:
		if f.server.Is6() && netip.AddrFrom16([16]byte(p[24:40])) == f.server {
			f.looped()
			return false
		}
	}
	return true
}

// inbound rewrites a packet for the device: what outbound does, the other way round.
func (f *filter) inbound(p []byte) {
	if len(p) < 20 || p[0]>>4 != 4 {
		return
	}
	for _, r := range f.nat {
		r.apply(p, !r.source, r.alias, r.local)
	}
}

// apply moves the source or destination address from one network to the other and repairs the checksums that cover it.
func (r natRule) apply(p []byte, source bool, from, to uint32) {
	at := 16
	if source {
		at = 12
	}
	addr := binary.BigEndian.Uint32(p[at:])
	if addr&r.mask != from {
		return
	}
	now := to | addr&^r.mask
	binary.BigEndian.PutUint32(p[at:], now)
	adjust(p[10:12], addr, now)
	head := int(p[0]&15) * 4
	if binary.BigEndian.Uint16(p[6:])&0x1fff != 0 || head < 20 {
		return // a later fragment has no header of its transport
	}
	switch body := p[min(head, len(p)):]; p[9] {
	case 6:
		if len(body) >= 18 {
			adjust(body[16:18], addr, now)
		}
	case 17:
		if len(body) >= 8 && (body[6] != 0 || body[7] != 0) { // 0: the sender computed none
			adjust(body[6:8], addr, now)
		}
	}
}

// adjust repairs a checksum after one 32-bit word it covers has changed.
//
// Rule: RFC 1624, equation 3.
func adjust(sum []byte, before, after uint32) {
	s := uint32(^binary.BigEndian.Uint16(sum))
	s += ^before>>16 + ^before&0xffff + after>>16 + after&0xffff
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	binary.BigEndian.PutUint16(sum, ^uint16(s)) //nolint:gosec // 16 bits are left
}

// shapeStep bounds one sleep of the shaper, so that it notices the end of a connection.
const shapeStep = 20 * time.Millisecond

// wait sleeps until n bytes may leave, and reports false when the connection ended meanwhile.
func (f *filter) wait(n int, p *path, current *atomic.Pointer[path]) bool {
	for {
		now := time.Now()
		pause := f.free.Sub(now)
		if pause <= 0 {
			f.free = now.Add(time.Duration(n) * time.Second / time.Duration(f.rate))
			return true
		}
		time.Sleep(min(pause, shapeStep))
		if current.Load() != p {
			return false
		}
	}
}
