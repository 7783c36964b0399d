package logging

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
)

// Slog returns a log/slog view of l: records become lines, attributes follow the message as key=value. Errors and
// warnings show from verb 1, info from 3, debug from 7, LevelTrace from 9.
func (l *Logger) Slog() *slog.Logger { return slog.New(&handler{l: l}) }

type handler struct {
	l     *Logger
	attrs string // " key=value" of With, ready to append
	group string // "a.b." of WithGroup
}

func (h *handler) Enabled(_ context.Context, lv slog.Level) bool { return h.l.Enabled(fromSlog(lv)) }

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		appendAttr(&b, h.group, a)
		return true
	})
	h.l.Msg(fromSlog(r.Level), "%s", b.String())
	return nil
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.attrs)
	for _, a := range attrs {
		appendAttr(&b, h.group, a)
	}
	return &handler{l: h.l, attrs: b.String(), group: h.group}
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &handler{l: h.l, attrs: h.attrs, group: h.group + name + "."}
}

func appendAttr(b *strings.Builder, group string, a slog.Attr) {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if a.Value.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, sub := range a.Value.Group() {
			appendAttr(b, group, sub)
		}
		return
	}
	b.WriteByte(' ')
	b.WriteString(group + a.Key)
	b.WriteByte('=')
	v := a.Value.String()
	if v == "" || strings.ContainsAny(v, " \t\"=\n") {
		v = strconv.Quote(v)
	}
	b.WriteString(v)
}
