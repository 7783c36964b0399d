package server

import (
	"bytes"
	"errors"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// contained runs f, which works on the session of one client and touches nothing of the hub's. A panic in it ends that
// client, and is logged with its stack.
func (h *hub) contained(i *instance, f func()) {
	defer func() {
		if v := recover(); v != nil {
			h.logPanic(i.prefix(), control.NewPanic(v))
			h.end(i, "tls-error")
		}
	}()
	f()
}

// panicLines is how much of a stack the log shows.
const panicLines = 40

// logPanic logs an error with its stack, if it was a panic. It may be called from any goroutine.
func (b *base) logPanic(prefix string, err error) {
	var p *control.PanicError
	if !errors.As(err, &p) {
		return
	}
	b.logLine(prefix, logging.Error, "%v", p)
	for n, line := range bytes.Split(bytes.TrimSpace(p.Stack), []byte("\n")) {
		if n == panicLines {
			break
		}
		b.logLine(prefix, logging.Error, "%s", bytes.ReplaceAll(line, []byte("\t"), []byte("  ")))
	}
}
