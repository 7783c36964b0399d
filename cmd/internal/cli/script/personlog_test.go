package script

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A person reads place and text first; a trace of one call says nothing new, and nothing steers the terminal.
func TestPersonLog(t *testing.T) {
	for want, say := range map[string]func(*slog.Logger){
		"ERROR a.lua:3: bad luck (timer)": func(l *slog.Logger) {
			l.Error("bad luck", "event", "timer", "file", "a.lua", "line", 3, "trace", "a.lua:3: in function <a.lua:2>\n")
		},
		"ERROR a.lua:3: bad luck (timer)\n    a.lua:3: in function 'x'\n    a.lua:5: in function <a.lua:4>": func(l *slog.Logger) {
			l.Error("bad luck", "event", "timer", "file", "a.lua", "line", 3, "trace", "a.lua:3: in function 'x'\na.lua:5: in function <a.lua:4>")
		},
		`WARN  a.lua: webhook failed  err="no \"answer\"" try="1"`: func(l *slog.Logger) { l.Warn("webhook failed", "err", `no "answer"`, "try", 1) },
		"INFO  a.lua: loaded again":                                func(l *slog.Logger) { l.Info("loaded again") },
	} {
		var out bytes.Buffer
		say(slog.New(newPersonLog(&out, slog.LevelInfo)).With("script", "a.lua"))
		if _, got, _ := strings.Cut(out.String(), " "); got != want+"\n" {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	var out bytes.Buffer
	l := slog.New(newPersonLog(&out, slog.LevelInfo))
	l.Info("\x1b[2J\r\a")
	l.Debug("hidden")
	if got := out.String(); strings.ContainsAny(got, "\x1b\r\a") || strings.Contains(got, "hidden") {
		t.Errorf("got %q", got)
	}
}
