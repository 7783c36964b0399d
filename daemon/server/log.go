package server

import (
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/internal/ratelimit"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// clientLog writes lines about clients. It belongs to the hub.
type clientLog struct {
	*aside
	commanded bool // a command of the port is executed
}

// log writes a line about a client, with its name and address in front. What a command of the port causes at once has no
// such front, as with stock.
func (c *clientLog) log(i *instance, lv logging.Level, format string, args ...any) {
	if !c.deps.Log.Enabled(lv) {
		return
	}
	prefix := ""
	if !c.commanded {
		prefix = i.prefix()
	}
	c.logLine(prefix, lv, format, args...)
}

// logNoise is log for what a client can cause as often as it likes: it has a limit of its own.
func (c *clientLog) logNoise(i *instance, now time.Time, lv logging.Level, format string, args ...any) {
	if !i.noise.Allow(now) {
		c.limiter.lost.Add(1)
		return
	}
	c.log(i, lv, format, args...)
}

// logAt writes a line about an address without an instance.
func (c *clientLog) logAt(at outer, lv logging.Level, format string, args ...any) {
	c.limitedLog(at.at.Addr(), at.String(), lv, format, args...)
}

// logLine writes a line with a prefix, "" for none. It may be called from any goroutine.
func (b *base) logLine(prefix string, lv logging.Level, format string, args ...any) {
	b.deps.Log.With(prefix).Msg(lv, format, args...)
}

// limiter bounds lines that peers can cause: some at once, then one a second, half of them about one network; and counts those left out.
type limiter struct {
	room     *ratelimit.PerPrefix
	lost     atomic.Int64
	reported uint64 // lost before the last line about them; the hub's
}

// Lines that peers may cause, all together: strangeLines at once, of which one network gets half, and which come back one in each strangePause.
const (
	strangeLines = 40
	strangePause = time.Second
)

func newLimiter() *limiter {
	return &limiter{room: ratelimit.NewPerPrefix(strangeLines, strangeLines*strangePause)}
}

// limitedLog is logLine for what a peer can cause as often as it likes. source is the peer's address, invalid where there is none.
func (a *aside) limitedLog(source netip.Addr, prefix string, lv logging.Level, format string, args ...any) {
	if !a.deps.Log.Enabled(lv) {
		return
	}
	if !a.limiter.room.Allow(source, time.Now()) {
		a.limiter.lost.Add(1)
		return
	}
	a.logLine(prefix, lv, format, args...)
}

// linesAbout is limitedLog without a prefix.
func (a *aside) linesAbout(source netip.Addr, lv logging.Level, format string, args ...any) {
	a.limitedLog(source, "", lv, format, args...)
}

// tellLost says how many lines limitedLog left out.
func (c *clientLog) tellLost() {
	if lost := c.limiter.lost.Swap(0); lost > 0 {
		c.limiter.reported += uint64(lost)
		c.logLine("", logging.Warn, "%d more lines that peers caused were left out", lost)
	}
}

// badControl logs a control packet that a session refused.
func (h *hub) badControl(i *instance, err error) {
	for _, line := range engine.UnwrapLines(err, h.set.wrapping(), h.set.fullAddress(*i.peer.Load())) {
		h.limitedLog(i.source(), i.prefix(), logging.Info, "%s", line)
	}
	if i.link.RemoteAddr().IsValid() && !errors.Is(err, control.ErrEarly) {
		h.end(i, "tls-error") // a stream that makes no sense is of no use any more
	}
}
