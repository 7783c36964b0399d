package server

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/journal"
)

// Recorder takes what becomes of clients. Its method returns at once.
type Recorder interface {
	Record(e journal.Event)
}

// record adds who a client is to an event.
func (b *base) record(i *instance, e journal.Event) {
	if b.deps.Journal == nil {
		return
	}
	at := i.peer.Load().Addr
	e.CID, e.User, e.CN, e.Address, e.Port = new(i.cid), i.username, i.commonName, at.Addr().Unmap().String(), at.Port()
	b.deps.Journal.Record(e)
}

// recordRefused is a login that was turned down. What the client is told may be a challenge, so only our own words count.
func (b *base) recordRefused(i *instance, why error) {
	b.record(i, journal.Event{Kind: journal.KindLogin, Verdict: journal.Refused, Reason: refusalOf(why).log})
}

// recordUp is a tunnel that is up, with the addresses that lead to it.
func (b *base) recordUp(i *instance) {
	e := journal.Event{Kind: journal.KindConnect}
	for _, p := range i.prefixes {
		text := p.String()
		if p.IsSingleIP() {
			text = p.Addr().String()
		}
		e.Tunnel = append(e.Tunnel, text)
	}
	b.record(i, e)
}

// recordGone is the end of a tunnel.
func (b *base) recordGone(i *instance) {
	b.record(i, journal.Event{
		Kind: journal.KindDisconnect, In: i.counts.LinkIn.Load(), Out: i.counts.LinkOut.Load(), Seconds: time.Since(i.since).Round(time.Millisecond).Seconds(),
	})
}

// recordHook is the outcome of a script.
func (b *base) recordHook(c hooks.Call, err error) {
	if b.deps.Journal == nil {
		return
	}
	e := journal.Event{Kind: journal.KindHook, Text: c.Type, Verdict: journal.Done}
	if err != nil {
		e.Verdict, e.Reason = journal.Failed, err.Error()
	}
	b.deps.Journal.Record(e)
}
