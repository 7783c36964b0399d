package script

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
)

// personLog writes what scripts log for a person at a terminal: place and text first, then what else is known. Programs get slog's text form.
type personLog struct {
	out   io.Writer
	level slog.Level
	mu    *sync.Mutex
	attrs []slog.Attr
}

func newPersonLog(out io.Writer, level slog.Level) *personLog {
	return &personLog{out: out, level: level, mu: new(sync.Mutex)}
}

// Enabled implements slog.Handler.
func (h *personLog) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// Handle implements slog.Handler.
func (h *personLog) Handle(_ context.Context, rec slog.Record) error {
	known := make(map[string]string)
	var rest, trace []string
	add := func(a slog.Attr) bool {
		switch v := a.Value.String(); a.Key {
		case "script", "event", "file", "line":
			known[a.Key] = v
		case "trace":
			trace = strings.Split(strings.TrimSpace(v), "\n")
		default:
			rest = append(rest, fmt.Sprintf("%s=%q", a.Key, v))
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	rec.Attrs(add)
	var b strings.Builder
	fmt.Fprintf(&b, "%s %-5s ", rec.Time.Format("15:04:05"), rec.Level)
	if known["file"] != "" {
		fmt.Fprintf(&b, "%s:%s: %s (%s)", known["file"], known["line"], env.Clean(rec.Message), known["event"])
	} else {
		fmt.Fprintf(&b, "%s: %s", known["script"], env.Clean(rec.Message))
	}
	if len(rest) > 0 {
		b.WriteString("  " + strings.Join(rest, " "))
	}
	if len(trace) > 1 { // one call is the place itself
		b.WriteString("\n    " + strings.Join(trace, "\n    "))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := fmt.Fprintln(h.out, b.String())
	return err
}

// WithAttrs implements slog.Handler.
func (h *personLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = append(with.attrs[:len(with.attrs):len(with.attrs)], attrs...)
	return &with
}

// WithGroup implements slog.Handler.
func (h *personLog) WithGroup(string) slog.Handler { return h }
