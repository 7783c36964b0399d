package server

import (
	"time"

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

// recordLogin is the verdict about the login of a key, nil for an accepted one. What a refused client is told may be a challenge, so only
// our own words count.
func (b *base) recordLogin(i *instance, keyID uint8, why error) {
	e := journal.Event{Kind: journal.KindLogin, Verdict: journal.Accepted, Seconds: seconds(i.asking[keyID].since)}
	if why != nil {
		e.Verdict, e.Reason = journal.Refused, refusalOf(why).log
	}
	b.record(i, e)
}

// seconds is the time since t, to the millisecond; 0 for no t.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return time.Since(t).Round(time.Millisecond).Seconds()
}

// Reasons for the end of a tunnel beside those of log lines.
const (
	endKilled   = "killed"   // by the management port
	endRefused  = "refused"  // at a renewal
	endReplaced = "replaced" // by a newer session of the client
	endShutdown = "shutdown" // of the server
)

// recordKill is a client that the management port ends.
func (b *base) recordKill(i *instance) {
	i.ending = endKilled
	b.record(i, journal.Event{Kind: journal.KindKill})
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
		Kind: journal.KindDisconnect, Reason: i.ending, In: i.counts.LinkIn.Load(), Out: i.counts.LinkOut.Load(), Seconds: seconds(i.since),
	})
}
