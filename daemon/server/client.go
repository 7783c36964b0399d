package server

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/server/pool"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/wire"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// hubSide holds the hub's view of a client.
type hubSide struct {
	stage     session.Stage
	deadline  time.Time
	heapIndex int  // in deadlines, -1 outside
	stepping  bool // its events are being handled

	session    *session.Session
	timers     session.Timers
	challenger *instance         // proves itself while this one goes on: a client that started anew from its address
	challenges *instance         // the one a challenger may take the place of
	asking     [8]asking         // by key id
	doubt      error             // about the certificates of the key that is negotiated
	channel    string            // what the log is to say about the control channel, until it has
	noise      *ratelimit.Bucket // lines and notifications that the client may cause
	creation   *ratelimit.Bucket // connect-freq of the client and of what starts anew at its address

	// Locked at the first login.
	commonName string
	username   string
	chain      [sha256.Size]byte // digest of the certificates the client sent
	certVars   []string          // "name=value" of the certificates
	certName   string            // the common name they give
	info       message.PeerInfo
	occ        string
	fromPort   []string // configuration lines that came with a client-auth command
	// deferredFiles are "name=path" of the files by which a plugin answers a login that it put off.
	deferredFiles []string
	loginName     string // user name of the first login, which override-username may have replaced

	token        keys.Token // session of the auth-tokens: the zero Initial before the first
	sessionState string     // of the token, for scripts
	tokenSince   time.Time  // when the last one was made

	// From the way to established on.
	config          *config.ClientConfig
	leased          bool
	lease           pool.Lease
	virtual4        netip.Addr
	local4          netip.Addr // our side of virtual4, or the netmask
	virtual6        netip.Prefix
	prefixes        []netip.Prefix // everything routed to the client
	push            session.Push
	heir            *instance // takes this one's place, and its addresses in learn-address
	inheritedRoutes []route   // learn-address knows them from the instance before
	scriptRoutes    []route   // learn-address knows them as ours
	ending          string    // why it ends, for the journal
}

// asking tracks the verifiers of one key's login.
type asking struct {
	stop    func()    // ends the script that is asked, may be nil
	expired bool      // by a token that was too old, which the client reads when it is refused
	since   time.Time // of the key message
}

// end stops the script that is asked about a login; its answer does not matter any more.
func (a *asking) end() {
	if a.stop != nil {
		a.stop()
	}
}

// peerNotices is how many lines and notifications one client may cause at once. One comes back each second.
const peerNotices = 20

// peerQuestions is how many questions and moves of one client the hub looks at at once. One comes back each second.
const peerQuestions = 5

// newcomer makes an instance for a client that has proved its address.
func (h *hub) newcomer(n newcomer, now time.Time) {
	if at := h.at(n.from); at != nil {
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
		h.logAt(n.from, logging.Error, "TLS Error: %v", err)
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
	i := &instance{dataPath: dataPath{cid: h.nextCID, link: n.link}, origin: origin{since: now, base: h.proto.StaticKey(&n.first)}}
	i.heapIndex = -1
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
		return nil, err
	}
	if i.link.RemoteAddr().IsValid() {
		_ = i.link.SetReadDeadline(time.Time{}) // the session has deadlines of its own
		h.streams.enter(i.link)
	}
	h.nextCID++
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
		RenegAfter: h.set.renegAfter(), Wake: h.waker(i),
	}}
}

// party is an instance in decisions about its address.
func (i *instance) party() *session.Party {
	return &session.Party{
		Identity: session.Identity{Certificates: i.chain, Name: i.commonName, User: i.username},
		Stage:    i.stage, Leaving: i.session.Leaving(),
	}
}

// mayHaveChallenger reports whether a packet of a session id starts a challenger of an instance.
func (i *instance) mayHaveChallenger(op wire.Opcode, peer wire.SessionID, now time.Time) bool {
	var current *session.Challenger
	if c := i.challenger; c != nil {
		current = &session.Challenger{Peer: c.session.Peer(), Since: c.since}
	}
	return i.party().MayChallenge(i.session.Peer(), current, op, peer, now)
}

// restart lets a known client that starts anew prove itself in a challenger instance, and reports whether the packet starts
// one. The instance it has goes on until the challenger's login is accepted.
func (h *hub) restart(i *instance, p controlPacket, now time.Time) bool {
	if i.link.RemoteAddr().IsValid() {
		return false // a stream has one session
	}
	f, err := h.proto.Verify(p.b)
	if err != nil || !i.mayHaveChallenger(f.Op, f.Session, now) {
		return false
	}
	f.Body = nil
	n := newcomer{link: i.link, from: p.from, first: f, packet: p.b, replaces: true, creation: i.creation}
	h.enter(n, func(h *hub, n newcomer, now time.Time) { h.challenge(i, n, now) }, now)
	return true
}

// challenge makes the challenger of an instance.
func (h *hub) challenge(i *instance, n newcomer, now time.Time) {
	if !i.mayHaveChallenger(n.first.Op, n.first.Session, now) {
		return
	}
	if i.challenger != nil {
		h.remove(i.challenger)
	}
	r, err := h.newInstance(n, now)
	if err != nil {
		return
	}
	i.challenger, r.challenges = r, i
	r.creation = i.creation
	if err := r.session.Input(n.packet, now); err != nil {
		h.remove(r)
		return
	}
	h.step(r, now)
}

// supersede puts an accepted challenger in the place of the instance it challenges, and reports whether it may.
func (h *hub) supersede(r *instance) bool {
	i := r.challenges
	outcome := i.party().SucceededBy(r.party())
	if outcome == session.SuccessionRefused {
		h.log(r, logging.Info, "TLS Error: another client started a session at the address of '%s'", i.commonName)
		return false
	}
	i.challenger, r.challenges = nil, nil
	if outcome == session.SuccessionInherits {
		i.heir = r
	}
	h.remove(i)
	return h.table.add(r)
}

// event handles what a session reports.
func (h *hub) event(i *instance, e session.Event, now time.Time) {
	switch e := e.(type) {
	case control.InitialPacket:
		sid := i.session.Peer().String()
		h.log(i, logging.Steps, "TLS: Initial packet from %s, sid=%s %s", h.set.fullAddress(*i.peer.Load()), sid[:8], sid[8:])
	case control.TLSUp:
		h.tlsUp(i, e)
	case session.KeyMessage:
		h.keyMessage(i, e, now)
	case control.Active:
		h.handshakes++
		h.total.Handshakes.Add(1)
		if e.KeyID == 0 {
			h.answers.Credit(i.peer.Load().Addr.Addr())
		}
	case session.Deferred:
		h.log(i, logging.Summary, "TLS: Username/Password authentication deferred for username '%s' %s", i.username, h.set.nameSet())
	case session.Accepted:
		h.accepted(i, e)
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
		i.asking[e.KeyID].end()
		i.asking[e.KeyID] = asking{}
		if !e.ByPeer {
			h.log(i, logging.Steps, "TLS: soft reset sec=%d/%d bytes=%d/-1 pkts=%d/0", int(e.Age.Seconds()), int(h.set.RenegSec.Seconds()), i.counts.TunIn.Load()+i.counts.TunOut.Load(), 0)
		}
	case control.Failed:
		h.keyFailed(i, e, now)
	case session.Left:
		h.finish(i, "delayed-exit")
	}
}

// tlsUp notes the peer's identity. Its certificates are verified by now.
func (h *hub) tlsUp(i *instance, e control.TLSUp) {
	certs := e.State.PeerCertificates
	chain := i.verified.Swap(nil)
	i.channel, i.doubt = tlsconf.Describe(&e.State), nil
	if e.KeyID != 0 {
		i.doubt = h.changed(i, certs)
		return
	}
	i.chain = chainDigest(certs)
	if len(certs) == 0 || chain == nil {
		return
	}
	name, err := tlsconf.Username(certs[0], h.set.X509UsernameFields)
	if err != nil || len(name) > maxCommonName {
		i.doubt = refusedFor("TLS Auth Error: certificate without a usable common name")
		return
	}
	i.certName = message.Remap(name)
	i.commonName = i.certName
	i.certVars = h.set.certificateVars(*chain)
}

// maxCommonName is the longest common name, in bytes.
const maxCommonName = 64

// changed refuses a renewal with other certificates than the client came with.
func (h *hub) changed(i *instance, certs []*x509.Certificate) error {
	if i.chain == chainDigest(certs) {
		return nil
	}
	if len(certs) > 0 && !h.set.UsernameAsCommonName {
		if name, err := tlsconf.Username(certs[0], h.set.X509UsernameFields); err == nil && message.Remap(name) != i.certName {
			return refusedFor(fmt.Sprintf("TLS Auth Error: TLS object CN attempted to change from '%s' to '%s' -- tunnel disabled", i.certName, message.Remap(name)))
		}
	}
	return refusedFor(fmt.Sprintf("TLS Auth Error: TLS object CN=%s client-provided SSL certs unexpectedly changed during mid-session reauth", i.commonName))
}

// chainDigest identifies the certificates of a peer.
func chainDigest(certs []*x509.Certificate) [sha256.Size]byte {
	d := sha256.New()
	for _, c := range certs {
		d.Write(c.Raw)
	}
	return [sha256.Size]byte(d.Sum(nil))
}

// keyFailed handles a failed negotiation.
func (h *hub) keyFailed(i *instance, e control.Failed, now time.Time) {
	var tlsErr *control.TLSError
	var verify *tlsconf.VerifyError
	switch failed := &h.total.Failed; {
	case errors.Is(e.Err, control.ErrHandWindow):
		failed.Timeout.Add(1)
	case errors.As(e.Err, &verify):
		failed.Certificate.Add(1)
	case errors.As(e.Err, &tlsErr):
		failed.TLS.Add(1)
	default:
		failed.Other.Add(1)
	}
	switch {
	case errors.Is(e.Err, control.ErrHandWindow):
		h.log(i, logging.Error, "TLS Error: TLS key negotiation failed to occur within %d seconds (check your network connectivity)", int(h.set.HandWindow.Seconds()))
	case errors.As(e.Err, &tlsErr):
		h.log(i, logging.Error, "%s", tlsText(tlsErr))
		h.log(i, logging.Error, "TLS_ERROR: BIO read tls_read_plaintext error")
		h.log(i, logging.Error, "TLS Error: TLS object -> incoming plaintext read error")
	default:
		h.log(i, logging.Error, "TLS Error: %v", e.Err)
	}
	h.logPanic(i.prefix(), e.Err)
	h.log(i, logging.Error, "TLS Error: TLS handshake failed")
	if !e.Dead {
		return
	}
	h.flush(i, now)
	h.end(i, "tls-error")
}

// tlsText is the line of a broken TLS connection. What was wrong with a certificate is in the log by then.
func tlsText(e *control.TLSError) string {
	var verify *tlsconf.VerifyError
	if errors.As(e.Err, &verify) {
		return "OpenSSL: error:0A000086:SSL routines::certificate verify failed:"
	}
	return fmt.Sprintf("OpenSSL: error: %v", e.Err)
}

// restarting is the line of a client that is dropped for a reason, and may come again.
const restarting = "SIGUSR1[soft,%s] received, client-instance restarting"

// end removes an instance with the log line of a restart.
func (h *hub) end(i *instance, reason string) {
	h.log(i, logging.Steps, restarting, reason)
	i.ending = cmp.Or(i.ending, reason)
	h.remove(i)
}

// remove takes an instance out of everything.
func (h *hub) remove(i *instance) {
	if i.stage == session.Gone {
		return
	}
	was := i.stage
	i.stage = session.Gone
	i.addDrops(h.dropped)
	i.tunnel.Store(nil)
	h.due.set(i, time.Time{})
	h.table.remove(i)
	delete(h.instances, i.cid)
	h.names.remove(i)
	if was == session.Established {
		h.recordGone(i)
	}
	h.farewells(i, was)
	h.unroute(i)
	for k := range i.asking {
		i.asking[k].end()
	}
	if i.leased {
		h.pool.Release(i.lease)
	}
	h.reaper.Go(i.session.Close) // it waits for a handshake, or a hook of one
	if i.challenger != nil {
		h.remove(i.challenger)
	}
	if i.challenges != nil {
		i.challenges.challenger = nil
	}
	if i.link.RemoteAddr().IsValid() {
		_ = i.link.Close() // a stream serves one client
	}
	if was == session.Established {
		h.established--
	}
	if was >= session.Authorised {
		h.clients--
	}
	h.publish()
}

// names finds instances by their common name.
type names map[string]map[*instance]struct{}

func (n names) add(i *instance) {
	set := n[undef(i.commonName)]
	if set == nil {
		set = make(map[*instance]struct{})
		n[undef(i.commonName)] = set
	}
	set[i] = struct{}{}
}

func (n names) remove(i *instance) {
	set := n[undef(i.commonName)]
	delete(set, i)
	if len(set) == 0 {
		delete(n, undef(i.commonName))
	}
}

// others returns the other instances of a common name, oldest first.
func (n names) others(i *instance) []*instance {
	var list []*instance
	for o := range n[undef(i.commonName)] {
		if o != i {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *instance) int { return int(a.cid) - int(b.cid) })
	return list
}
