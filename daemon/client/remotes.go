package client

import (
	"net/netip"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// remotes is the place in the list of connection profiles and in the addresses of the current one.
//
//	each restart: stay once, if the server was fine or a peer said so; else the next address of the name; else the next
//	profile, round and round
type remotes struct {
	count   int             // profiles
	current int             // index of the profile in use
	addrs   []netip.Addr    // what its name resolved to; nil: not yet
	addr    int             // index of the address in use
	stay    bool            // do not move on for the next attempt
	started bool            // there was an attempt
	wish    message.Advance // of a server's temporary refusal, for the next attempt
}

// next chooses the profile and address of the next attempt.
func (r *remotes) next() {
	wish, stay := r.wish, r.stay
	r.wish, r.stay = message.AdvanceDefault, false
	if !r.started {
		r.started = true
		return
	}
	switch {
	case wish == message.AdvanceRemote:
		r.skip(1)
	case wish == message.AdvanceAddr:
		r.nextAddr()
	case stay || wish == message.AdvanceNo:
	default:
		r.nextAddr()
	}
}

func (r *remotes) nextAddr() {
	if r.addr+1 < len(r.addrs) {
		r.addr++
		return
	}
	r.skip(1)
}

// skip moves on by n profiles.
func (r *remotes) skip(n int) {
	r.current = (r.current + n) % max(r.count, 1)
	r.forget()
}

// forget drops the resolved addresses: the next attempt looks the name up again.
func (r *remotes) forget() { r.addrs, r.addr = nil, 0 }

// resolved takes the result of a lookup.
func (r *remotes) resolved(addrs []netip.Addr) { r.addrs, r.addr = addrs, 0 }

// address is the address in use, false when the name has to be looked up.
func (r *remotes) address() (netip.Addr, bool) {
	if r.addr >= len(r.addrs) {
		return netip.Addr{}, false
	}
	return r.addrs[r.addr], true
}

// restarted decides about the looked-up addresses at a restart: they are kept for a soft restart that will use
// another of them, or the same again.
func (r *remotes) restarted(soft, persistRemoteIP bool) {
	if persistRemoteIP || soft && (r.addr+1 < len(r.addrs) || r.stay) {
		return
	}
	r.forget()
}
