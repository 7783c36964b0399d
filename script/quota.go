package script

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/moongate-vpn/moongate/script/lib"
)

// quotaBounds limit what a script writes to a log that others share: what comes at once, and what comes back in a second. The last bounds a
// script that writes all day.
var quotaBounds = []struct {
	unit      func(text string) int
	atOnce    int
	perSecond rate.Limit
}{
	{oneLine, 1000, 100},
	{lineBytes, 512 << 10, 64 << 10},
	{lineBytes, 64 << 20, (64 << 20) / (24 * 60 * 60)},
}

const (
	maxLogged  = 64 << 10        // bytes of one text
	lineHead   = 64              // bytes that a log puts before a text, about
	quotaEvery = 5 * time.Second // how often it is told what was left out
)

func oneLine(string) int { return 1 }

func lineBytes(text string) int { return lineHead + len(text) }

// quota bounds what a script writes to a shared log, by print, log and its errors. What is too much is left out and counted.
type quota struct {
	log  *slog.Logger // without bounds
	mu   sync.Mutex
	left []*rate.Limiter // as quotaBounds

	lines, bytes int       // left out, and not yet told
	since        time.Time // of the first of them
}

func newQuota(log *slog.Logger) *quota {
	q := &quota{log: log}
	for _, b := range quotaBounds {
		q.left = append(q.left, rate.NewLimiter(b.perSecond, b.atOnce))
	}
	return q
}

// allows takes room for a text, or counts it among what is left out.
func (q *quota) allows(text string) bool {
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, b := range quotaBounds {
		if q.left[i].TokensAt(now) < float64(b.unit(text)) {
			if q.lines == 0 {
				q.since = now
			}
			q.lines++
			q.bytes += len(text)
			return false
		}
	}
	for i, b := range quotaBounds {
		q.left[i].AllowN(now, b.unit(text))
	}
	return true
}

// tell logs how much was left out, if that is due or the script ends, and returns how long until it is due.
func (q *quota) tell(end bool) time.Duration {
	if q == nil {
		return idleWait
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.lines == 0 {
		return idleWait
	}
	if wait := time.Until(q.since.Add(quotaEvery)); wait > 0 && !end {
		return wait
	}
	q.log.Warn(fmt.Sprintf("the script writes too much: %d lines with %d bytes were left out", q.lines, q.bytes))
	q.lines, q.bytes = 0, 0
	return idleWait
}

// printer is print within the quota.
func (q *quota) printer(print func(string)) func(string) {
	return func(text string) {
		if text = lib.Clip(text, maxLogged); q.allows(text) {
			print(text)
		}
	}
}

// quotaHandler is a log handler within a quota.
type quotaHandler struct {
	slog.Handler
	q *quota
}

// Handle implements slog.Handler.
func (h quotaHandler) Handle(ctx context.Context, rec slog.Record) error {
	text := rec.Message
	rec.Attrs(func(a slog.Attr) bool { text += a.Key + a.Value.String(); return true })
	if !h.q.allows(text) {
		return nil
	}
	return h.Handler.Handle(ctx, rec)
}

// WithAttrs implements slog.Handler.
func (h quotaHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quotaHandler{h.Handler.WithAttrs(attrs), h.q}
}

// WithGroup implements slog.Handler.
func (h quotaHandler) WithGroup(name string) slog.Handler {
	return quotaHandler{h.Handler.WithGroup(name), h.q}
}
