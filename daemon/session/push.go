package session

import (
	"errors"
	"time"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// pushAgain is how long after a PUSH_REPLY a server ignores further requests: the client sent them before the reply arrived.
const pushAgain = 30 * time.Second

// Push is a server's side of the push exchange.
//
//	silent ── Request ──► requested ── Sent ──► sent ── Request, pushAgain later ──► sent
//	   └───────────────── Sent (the client announced that it need not ask) ──┘
type Push struct {
	requested bool
	sent      time.Time // the last reply
}

// Request takes a PUSH_REQUEST and reports whether to answer it at once. A request that comes before the tunnel is up is kept.
func (p *Push) Request(s Stage, now time.Time) bool {
	p.requested = true
	return s == Established && now.Sub(p.sent) >= pushAgain
}

// Requested reports whether the client has sent a PUSH_REQUEST.
func (p *Push) Requested() bool { return p.requested }

// Sent notes a reply and reports whether it is the first one.
func (p *Push) Sent(now time.Time) (first bool) {
	first = p.sent.IsZero()
	p.sent = now
	return first
}

// Pull is a client's side of the push exchange, from the first key to the updates of an open tunnel.
//
//	idle ── Start ──► asking ── Reply, the last part ──► pulled ── Opened ──► open ── NextUpdate ──► updating
//	                  │    ▲                                                   ▲                        │
//	                  └────┘ PullAsk every pullInterval                        └──────── Updated ───────┘
//	                  └──► PullOverdue, in the place of a request
//
// Updates that arrive before the tunnel is open, or during another update, wait in their order.
type Pull struct {
	Options message.PushList // as the server pushed them, with all updates since

	state    pullState
	since    time.Time
	next     time.Time // of the next request
	deadline time.Time
	repeated bool
	part     message.PushList // of an update that is not complete
	updates  [][]string       // complete ones
}

type pullState uint8

const (
	idle pullState = iota
	asking
	pulled
	open
	updating
)

// Times of a pull, and how many updates may wait.
const (
	pullDelay    = time.Second     // before the first request
	pullInterval = 5 * time.Second // between requests
	maxUpdates   = 64
)

// Errors of updates.
var (
	ErrEarlyUpdate = errors.New("push update before the options that it could change, or without a pull")
	ErrUpdates     = errors.New("too many options or updates at once")
)

// PullDue says what a pull needs.
type PullDue uint8

// What a pull may need.
const (
	PullNothing PullDue = iota
	PullFirst           // the first request
	PullAsk             // a further request
	PullOverdue         // the server has not answered in time
)

// Start starts the requests. The server has to answer within wait.
func (p *Pull) Start(now time.Time, wait time.Duration) {
	if p.state == idle {
		p.state, p.since, p.next, p.deadline = asking, now, now.Add(pullDelay), now.Add(wait)
	}
}

// Since is the time of Start.
func (p *Pull) Since() time.Time { return p.since }

// Limit moves the deadline, as a server's AUTH_PENDING does, to an earlier time too.
func (p *Pull) Limit(until time.Time) { p.deadline = until }

// Check returns what is due, and when to check again at the latest: zero when there is nothing to wait for. PullOverdue takes the
// place of the first request after the deadline: what the server says at the deadline still arrives.
func (p *Pull) Check(now time.Time) (due PullDue, next time.Time) {
	switch {
	case p.state != asking:
		return PullNothing, time.Time{}
	case now.Before(p.next):
	case !now.Before(p.deadline):
		return PullOverdue, time.Time{}
	default:
		due = PullAsk
		if !p.repeated {
			due, p.repeated = PullFirst, true
		}
		p.next = now.Add(pullInterval)
	}
	return due, p.next
}

// Pulled reports whether all options have arrived.
func (p *Pull) Pulled() bool { return p.state >= pulled }

// Reply takes a part of the reply and reports whether that was the last one. ok is false for a list without end.
func (p *Pull) Reply(arg string) (complete, ok bool) {
	complete, ok = p.Options.Add(arg)
	if complete && ok {
		p.state = max(p.state, pulled)
	}
	return complete, ok
}

// Opened notes that the tunnel is open: updates may begin.
func (p *Pull) Opened() {
	if p.state == pulled {
		p.state = open
	}
}

// Update takes a part of an update. A complete one waits for NextUpdate. After ErrUpdates the connection is to start again.
//
// Rule: docs/protocol.md#47-push_update-27.
func (p *Pull) Update(arg string) error {
	if !p.Pulled() {
		return ErrEarlyUpdate
	}
	complete, ok := p.part.Add(arg)
	if !ok || len(p.updates) >= maxUpdates {
		return ErrUpdates
	}
	if complete {
		p.updates, p.part = append(p.updates, p.part.Unmarked()), message.PushList{}
	}
	return nil
}

// NextUpdate starts the oldest update that waits, false when none does or the tunnel is not free for it.
func (p *Pull) NextUpdate() (options []string, ok bool) {
	if p.state != open || len(p.updates) == 0 {
		return nil, false
	}
	options, p.updates, p.state = p.updates[0], p.updates[1:], updating
	return options, true
}

// Updated ends an update that is in force; options is the list with its changes.
func (p *Pull) Updated(options []string) { p.Options.Options, p.state = options, open }
