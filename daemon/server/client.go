package server

import (
	"context"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/mgmt"
)

// peerNotices is how many lines and notifications one client may cause at once. One comes back each second.
const peerNotices = 20

// peerQuestions is how many questions and moves of one client the hub looks at at once. One comes back each second.
const peerQuestions = 5

// newcomer makes an instance for a client that has proved its address.
func (h *hub) newcomer(n newcomer, now time.Time) {
	at := h.at(n.from)
	if at != nil && at.link != n.link && !sameKind(at.link, n.link) {
		h.end(at, mgmt.ReasonConnectionReset) // one address has one connection: the older one is over
		at = nil
	}
	if at != nil {
		h.input(controlPacket{link: n.link, from: n.from, to: &at.dataPath, b: n.packet}, now)
		return
	}
	if !n.follows { // else its client was not let in
		h.enter(n, (*hub).welcome, now)
	}
}

// welcome makes the instance of a newcomer.
func (h *hub) welcome(n newcomer, now time.Time) {
	i, err := h.newInstance(n, now)
	if err != nil {
		h.logAt(h.set.outer(n.from), logging.Error, "TLS Error: %v", err)
		return
	}
	if !h.table.add(i) {
		h.remove(i)
		return
	}
	h.log(i, logging.Detail, "MULTI: multi_create_instance called")
	h.input(controlPacket{link: n.link, from: n.from, to: &i.dataPath, b: n.packet}, now)
}

// newInstance makes an instance that the data plane does not see yet.
func (h *hub) newInstance(n newcomer, now time.Time) (*instance, error) {
	i := &instance{dataPath: dataPath{cid: h.total.Clients.Load(), link: n.link, proto: h.set.protoName(n.from)}, origin: origin{since: now, base: h.proto.StaticKey(&n.first)}}
	i.owner.instance, i.heapIndex = i, -1
	i.present, i.leave = context.WithCancel(context.Background())
	i.noise = ratelimit.New(peerNotices, peerNotices*time.Second)
	i.asks = ratelimit.New(peerQuestions, peerQuestions*time.Second)
	i.creation = ratelimit.New(h.set.ConnectFreq.Count, h.set.ConnectFreq.Per)
	i.creation.Allow(now) // it is one itself
	i.peer.Store(&n.from)
	i.counts.Begin(now)
	i.timers.Age(now)
	i.session = new(session.Session) // the hooks of its first handshake read that there was no login yet
	cfg := h.sessionConfig(i, wrapper(h.proto, &n))
	var err error
	if n.proved {
		i.session, err = session.NewAccepted(cfg, n.own, n.peer, now)
	} else {
		i.session, err = session.New(cfg, now)
	}
	if err != nil {
		i.leave()
		return nil, err
	}
	if i.link.RemoteAddr().IsValid() {
		_ = i.link.SetReadDeadline(time.Time{}) // the session has deadlines of its own
		h.streams.enter(i.link)
	}
	h.total.Clients.Add(1)
	h.instances[i.cid] = i
	return i, nil
}

// wrapper wraps the packets of a newcomer's session.
func wrapper(proto *ctrlwrap.Prototype, n *newcomer) ctrlwrap.Wrapper {
	answered := uint32(0)
	if n.proved {
		answered = 1
	}
	return proto.New(&n.first, answered)
}

// sessionConfig is the configuration of a session of i.
func (h *hub) sessionConfig(i *instance, w ctrlwrap.Wrapper) session.Config {
	set := h.set
	current := func() *tls.Config { return h.set.tls.TLS(h.certHooks(i)) } // on the hub: a reload shows at the next handshake
	return session.Config{Logins: true, Renewal: set.RenegSec, Config: control.Config{
		Role: keys.Server, TLS: current(), Renew: current, Wrap: w, StaticKey: i.base,
		LocalOptions: h.links.occ.of(i.link), PacketSize: set.controlSize(i.peer.Load().Addr.Addr().Is6()),
		TLSTimeout: set.TLSTimeout, HandWindow: set.HandWindow, TranWindow: set.TranWindow,
		RenegAfter: h.set.renegAfter(), Wake: h.waker(&i.dataPath, &i.handshake),
	}}
}

// event handles what a session reports.
func (h *hub) event(i *instance, e session.Event, now time.Time) {
	switch e := e.(type) {
	case control.InitialPacket:
		sid := i.session.Peer().String()
		h.log(i, logging.Steps, "TLS: Initial packet from %s, sid=%s %s", h.set.fullAddress(*i.peer.Load()), sid[:8], sid[8:])
	case control.TLSUp:
		h.set.tlsUp(i, e)
	case session.KeyMessage:
		h.keyMessage(i, e, now)
	case control.Active:
		h.swept.handshakes++
		h.total.Handshakes.Add(1)
		if e.KeyID == 0 {
			h.answers.Credit(i.peer.Load().Addr.Addr())
			if h.goodbye != "" {
				h.text(i, h.goodbye, now)
			}
		}
	case session.Deferred:
		h.log(i, logging.Summary, "TLS: Username/Password authentication deferred for username '%s' %s", i.username, h.set.nameSet())
	case session.Accepted:
		h.accepted(h.set, i, e)
	case session.Refused:
		h.refused(i, e)
	case session.Introduced:
		if h.introduce(h.set, i, e) {
			h.addressKnown(i)
		}
	case session.Admitted:
		h.admitted(i, e.KeyID, now)
	case session.TurnedAway:
		h.turnAway(i, e, now)
	case session.Unusable:
		h.log(i, logging.Error, "TLS Error: %v", e.Err)
	case control.Text:
		h.textFrom(i, e.Text, now)
	case session.SoftReset:
		i.logins.renew(e.KeyID)
		if !e.ByPeer {
			h.log(i, logging.Steps, "TLS: soft reset sec=%d/%d bytes=%d/%d pkts=%d/%d", int(e.Age.Seconds()), int(h.set.RenegSec.Seconds()),
				e.Done.Bytes(), h.set.RenegBytes, e.Done.Packets(), h.set.RenegPackets)
		}
	case control.Failed:
		h.keyFailed(i, e, now)
	case session.Left:
		h.finish(i, "delayed-exit")
	}
}
