package server

import (
	"fmt"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// log writes a line about a client, with its name and address in front.
func (h *hub) log(i *instance, verb int, flag, format string, args ...any) {
	h.logLine(i.prefix(), verb, flag, format, args...)
}

// logAt writes a line about an address without an instance.
func (h *hub) logAt(at transport.Peer, verb int, flag, format string, args ...any) {
	h.limitedLog(realAddress(at.Addr), verb, flag, format, args...)
}

// logLine writes a line with a prefix, "" for none. It may be called from any goroutine.
func (s *Server) logLine(prefix string, verb int, flag, format string, args ...any) {
	lv := logging.At(verb).Class(flag)
	if !s.deps.Log.Enabled(lv) {
		return
	}
	text := fmt.Sprintf(format, args...)
	if prefix != "" {
		text = prefix + " " + text
	}
	s.deps.Log.Print(verb, flag, text)
}

// limiter bounds lines that strangers can cause: a few at once, then one a second, and how many were left out.
type limiter struct {
	mu    sync.Mutex // guards all below
	since time.Time
	lines int
	lost  int
}

// linesPerSecond is how many lines strangers may cause in a second, all together.
const linesPerSecond = 20

// limitedLog is logLine for what a peer can cause without being anybody.
func (h *hub) limitedLog(prefix string, verb int, flag, format string, args ...any) {
	if !h.deps.Log.Enabled(logging.At(verb).Class(flag)) {
		return
	}
	l := &h.limiter
	l.mu.Lock()
	now := time.Now()
	lost := 0
	if now.Sub(l.since) >= time.Second {
		lost = l.lost
		l.since, l.lines, l.lost = now, 0, 0
	}
	l.lines++
	drop := l.lines > linesPerSecond
	if drop {
		l.lost++
	}
	l.mu.Unlock()
	if lost > 0 {
		h.logLine("", 1, "W", "%d more lines about bad packets were left out in the last second", lost)
	}
	if !drop {
		h.logLine(prefix, verb, flag, format, args...)
	}
}

// badControl counts a control packet that a session refused.
func (h *hub) badControl(i *instance, err error) {
	h.limitedLog(i.prefix(), 1, "", "TLS Error: %v from %s", err, h.set.fullAddress(*i.peer.Load()))
	if i.link.RemoteAddr().IsValid() {
		h.end(i, "tls-error") // a stream that makes no sense is of no use any more
	}
}
