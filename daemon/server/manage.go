package server

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"
)

// do runs f on the hub, however busy that is, and reports whether it did: a command that is given up could only be answered by a guess.
func (s *Server) do(f func(h *hub)) bool {
	in := s.live.Load()
	return in != nil && in.call(context.Background(), f)
}

// command is do for a command about a client.
func (s *Server) command(f func(h *hub)) {
	s.do(func(h *hub) {
		h.commanded = true
		defer func() { h.commanded = false }()
		f(h)
	})
}

// Serving tells whether clients are served: not before the start is over, and not in a hold.
func (s *Server) Serving() bool { return s.live.Load() != nil }

// Status implements the status command. The report is rendered outside of the hub.
func (s *Server) Status(version int) ([]string, bool) {
	if version == 0 {
		version = s.opts.Load().StatusVersion
	}
	if version < 1 || version > 3 {
		return nil, false
	}
	snap := s.snapshot()
	var b strings.Builder
	_ = snap.write(&b, version) // a strings.Builder does not fail
	return strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"), true
}

// snapshot takes what a report needs. The hub copies values and does nothing else: with many clients, sorting and
// formatting take longer than a handshake should wait.
func (s *Server) snapshot() snapshot {
	snap := snapshot{title: s.deps.Title, now: time.Now()}
	s.do(func(h *hub) {
		snap.clients = make([]clientRow, 0, len(h.instances))
		for _, i := range h.instances {
			snap.clients = append(snap.clients, i.row())
		}
		routes, stations := h.routes.All(), h.stations.All()
		snap.routes = make([]routeRow, 0, len(routes)+len(stations))
		for _, r := range routes {
			c := h.of(r.Client)
			if c == nil {
				continue // it leads to another node
			}
			snap.routes = append(snap.routes, routeRow{virtual: r.Prefix, own: c.owns(r.Prefix), commonName: c.commonName, real: c.outer(), lastRef: wallTime(r.LastRef(), snap.now)})
		}
		for _, st := range stations {
			c := h.of(st.Client)
			snap.routes = append(snap.routes, routeRow{station: st.Addr.String(), commonName: c.commonName, real: c.outer(), lastRef: wallTime(st.LastRef(), snap.now)})
		}
	})
	snap.order = make([]*clientRow, len(snap.clients))
	for i := range snap.clients {
		snap.order[i] = &snap.clients[i]
	}
	slices.SortFunc(snap.order, func(a, b *clientRow) int { return cmp.Compare(a.cid, b.cid) })
	return snap
}

// row is the instance in a report.
func (i *instance) row() clientRow {
	r := clientRow{
		commonName: i.commonName, real: i.outer(), received: i.counts.LinkIn.Load(), sent: i.counts.LinkOut.Load(),
		since: i.since, username: i.username, cid: i.cid, peerID: i.slot, cipher: i.session.Terms().Cipher, virtual4: i.virtual.v4,
	}
	if r.cipher == "" {
		r.cipher = "BF-CBC" // what stock shows before the choice
	}
	if i.virtual.v6.IsValid() {
		r.virtual6 = i.virtual.v6.Addr()
	}
	return r
}

// Clients counts the clients that finished connecting.
func (s *Server) Clients() (n int) {
	s.do(func(h *hub) { n = h.established })
	return n
}

// KillName removes the clients of a common name at once.
func (s *Server) KillName(commonName string) (n int) {
	s.do(func(h *hub) {
		list := h.named(commonName)
		n = len(list)
		for _, i := range list {
			h.recordKill(i)
			h.finish(i, "")
		}
	})
	return n
}

// KillAddr removes the clients at a real address at once: those over udp or tcp, or all for an empty proto. One address may
// have come to several listeners.
func (s *Server) KillAddr(real netip.AddrPort, proto string) (n int) {
	s.do(func(h *hub) {
		var list []*instance
		for _, i := range h.instances {
			at := i.peer.Load().Addr
			if proto != "" && (proto == "tcp") != i.link.RemoteAddr().IsValid() {
				continue
			}
			if at.Addr().Unmap() == real.Addr().Unmap() && at.Port() == real.Port() {
				list = append(list, i)
			}
		}
		n = len(list)
		for _, i := range inOrder(list) {
			h.recordKill(i)
			h.finish(i, "")
		}
	})
	return n
}

// ClientAuth admits a key.
func (s *Server) ClientAuth(cid, kid uint64, config []string) (effect func()) {
	s.do(func(h *hub) {
		i := h.instances[cid]
		if i == nil {
			return
		}
		if kid == 0 {
			effect = func() {} // unused key slots count as key 0: harmless, and what stock answers
			return
		}
		if _, ok := i.session.Key(kid); !ok {
			return
		}
		effect = func() {
			s.do(func(h *hub) {
				if i.stage == session.Handshake {
					i.logins.fromPort = config
				}
				h.verdict(i, kid, session.Port, nil, time.Now())
			})
		}
	})
	return effect
}

// ClientDeny refuses a key. The log tells before the effect.
func (s *Server) ClientDeny(cid, kid uint64, reason, clientReason string) (effect func()) {
	s.do(func(h *hub) {
		i := h.instances[cid]
		if i == nil {
			return
		}
		if _, ok := i.session.Key(kid); !ok {
			return
		}
		s.logLine("", logging.Steps, "MULTI: connection rejected: %s, CLI:%s", reason, cmp.Or(clientReason, "[NULL]")) // stock names no client here
		effect = func() {
			s.do(func(h *hub) { h.refuse(i, kid, &refusal{log: reason, client: clientReason}, time.Now()) })
		}
	})
	return effect
}

// ClientPending announces a further step to a client.
func (s *Server) ClientPending(cid, kid uint64, extra string, timeout time.Duration) (ok bool) {
	s.command(func(h *hub) {
		if i := h.instances[cid]; i != nil {
			ok = h.pending(i, kid, extra, timeout, time.Now())
		}
	})
	return ok
}

// ClientKill sends a message to a client and removes it a little later.
func (s *Server) ClientKill(cid uint64, message string) (ok bool) {
	s.command(func(h *hub) {
		i := h.instances[cid]
		if i == nil {
			return
		}
		ok = true
		if message == "" {
			message = "RESTART"
		}
		now := time.Now()
		h.recordKill(i)
		h.closeLater(i, session.SentAway, now)
		h.text(i, message, now)
	})
	return ok
}

// Traffic implements bytecount for every established client.
func (s *Server) Traffic(f func(cid uint64, count mgmt.ByteCount)) {
	type count struct {
		cid uint64
		n   mgmt.ByteCount
	}
	var all []count
	s.do(func(h *hub) {
		for _, i := range h.instances {
			if i.stage == session.Established {
				all = append(all, count{i.cid, mgmt.ByteCount{In: i.counts.LinkIn.Load(), Out: i.counts.LinkOut.Load()}})
			}
		}
	})
	for _, c := range all {
		f(c.cid, c.n)
	}
}
