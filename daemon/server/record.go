package server

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/journal"
)

// Recorder takes what becomes of clients. Its method returns at once.
type Recorder interface {
	Record(e journal.Event)
}

// record adds a client's identity to an event and writes it to the journal.
func (c *clientLog) record(i *instance, e journal.Event) {
	if c.deps.Journal == nil {
		return
	}
	at := i.peer.Load().Addr
	e.CID, e.User, e.CN, e.Address, e.Port = new(i.cid), i.username, i.commonName, at.Addr().Unmap().String(), at.Port()
	c.deps.Journal.Record(e)
}

// recordLogin records the verdict about a key's login, nil for an accepted one. The text for a refused client may hold a
// challenge, so only our own words are kept.
func (c *clientLog) recordLogin(i *instance, keyID uint8, why error) {
	e := journal.Event{Kind: journal.KindLogin, Verdict: journal.Accepted, Seconds: seconds(i.logins.asking[keyID].since)}
	if why != nil {
		e.Verdict, e.Reason = journal.Refused, refusalOf(why).log
	}
	c.record(i, e)
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
	endDrained  = "drained"  // of the node
)

// recordKill records that the management port ends a client.
func (c *clientLog) recordKill(i *instance) {
	i.ending = endKilled
	c.record(i, journal.Event{Kind: journal.KindKill})
}

// recordUp records a tunnel that is up, with its routes.
func (c *clientLog) recordUp(i *instance) {
	e := journal.Event{Kind: journal.KindConnect}
	for _, p := range i.learned.prefixes {
		text := p.String()
		if p.IsSingleIP() {
			text = p.Addr().String()
		}
		e.Tunnel = append(e.Tunnel, text)
	}
	c.record(i, e)
}

// recordGone is the end of a tunnel.
func (c *clientLog) recordGone(i *instance) {
	c.record(i, journal.Event{
		Kind: journal.KindDisconnect, Reason: i.ending, In: i.counts.LinkIn.Load(), Out: i.counts.LinkOut.Load(), Seconds: seconds(i.since),
	})
}
