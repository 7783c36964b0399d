package server

import (
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/message"
	"github.com/moongate-vpn/moongate/daemon/session"
)

// links reaches the clients for the hub: with packets and texts, and with the time when to step each. The hub owns it.
type links struct {
	say   *clientLog
	plane *plane
	occ   ownOptions // for questions and key messages
	due   deadlines
	out   [1][]byte
}

// send sends one packet to a client.
func (l *links) send(i *instance, pkt []byte, now time.Time) {
	l.out[0] = pkt
	if err := i.link.Send(*i.peer.Load(), l.out[:]); err != nil {
		l.plane.notice(err)
	}
	l.plane.total.Out.Add(uint64(len(pkt)))
	i.sent(len(pkt), now)
}

// flush sends what the session has ready.
func (l *links) flush(i *instance, now time.Time) {
	for {
		pkt, ok := i.session.Next()
		if !ok {
			return
		}
		l.send(i, pkt, now)
	}
}

// text sends a text message and logs it.
func (l *links) text(i *instance, msg string, now time.Time) {
	status := 1
	if err := i.session.SendText(msg); err != nil {
		status = 0
	}
	name := i.commonName
	if !strings.HasPrefix(msg, "PUSH_") {
		name = undef(name)
	}
	l.say.log(i, logging.Steps, "SENT CONTROL [%s]: '%s' (status=%d)", name, message.Redact(msg), status)
	l.flush(i, now)
	l.wakeAt(i, now) // Step finds the next retransmission
}

// wakeAt has an instance stepped at a time, or earlier when it wants that anyway.
func (l *links) wakeAt(i *instance, at time.Time) {
	if i.stage != session.Gone && (i.heapIndex < 0 || at.Before(i.deadline)) {
		l.due.set(i, at)
	}
}

// closeLater ends an instance after the grace that lets the peer fetch our last message.
func (l *links) closeLater(i *instance, why session.Leaving, now time.Time) {
	if i.session.Leave(why, now.Add(closeGrace)) {
		l.say.log(i, logging.Steps, "Delayed exit in %d seconds", int(closeGrace/time.Second))
		l.wakeAt(i, now)
	}
}

// closeGrace is how long an instance stays after AUTH_FAILED, EXIT or a kill.
const closeGrace = 5 * time.Second

// inBand answers what a client asked in the data channel, or takes its answer.
func (l *links) inBand(i *instance, msg []byte, now time.Time) {
	ch := i.tunnel.Load()
	if i.stage != session.Established || ch == nil {
		return
	}
	for _, line := range i.mtuTest.Answer(ch, msg) {
		l.say.log(i, logging.Info, "%s", line)
	}
	for _, pkt := range ch.SealAnswer(msg, l.occ.of(i.link), now) {
		l.send(i, pkt, now)
	}
}

// testMTU goes on with mtu-test.
func (l *links) testMTU(i *instance, now time.Time) {
	ch := i.tunnel.Load()
	if ch == nil || i.mtuTest.Due().IsZero() {
		return
	}
	pkts, line := i.mtuTest.Step(ch, now)
	if line != "" {
		l.say.log(i, logging.Info, "%s", line)
	}
	for _, pkt := range pkts {
		l.send(i, pkt, now)
	}
}

// ping sends a ping.
func (l *links) ping(i *instance, now time.Time) {
	ch := i.tunnel.Load()
	if ch == nil {
		return
	}
	pkt, err := ch.SealPing(nil, now)
	if err != nil {
		return
	}
	l.send(i, pkt, now)
}
