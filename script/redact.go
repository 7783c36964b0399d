package script

import (
	"context"
	"log/slog"
	"strings"
	"sync"

	"github.com/moongate-vpn/moongate/script/lib"
)

// redacted stands for a secret.
const redacted = "[...]"

// redactor hides the secrets that a script fetched from everything it prints and logs.
type redactor struct {
	mu      sync.Mutex
	secrets []string
}

// minSecret is the length below which a secret would hide half of every text.
const minSecret = 4

func (r *redactor) add(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(secret) >= minSecret {
		r.secrets = append(r.secrets, secret)
		if len(r.secrets) > 256 {
			r.secrets = r.secrets[1:]
		}
	}
}

func (r *redactor) clean(s string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, secret := range r.secrets {
		s = strings.ReplaceAll(s, secret, redacted)
	}
	return s
}

// clip is lib.Clip of a text whose secrets are hidden. A secret that begins where the text is cut is hidden too.
func (r *redactor) clip(s string, most int) string {
	r.mu.Lock()
	longest := 0
	for _, secret := range r.secrets {
		longest = max(longest, len(secret))
	}
	r.mu.Unlock()
	if longest == 0 || len(s) <= most {
		return lib.Clip(r.clean(s), most)
	}
	short := r.clean(s[:min(len(s), most+longest)])
	if len(short) <= most { // what was hidden made room
		return short + "…"
	}
	return lib.Clip(short, most)
}

// cleanHandler is a log handler behind a redactor.
type cleanHandler struct {
	slog.Handler
	r *redactor
}

// Handle implements slog.Handler.
func (h cleanHandler) Handle(ctx context.Context, rec slog.Record) error {
	n := slog.NewRecord(rec.Time, rec.Level, h.r.clean(rec.Message), rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		n.AddAttrs(slog.String(a.Key, h.r.clean(a.Value.String())))
		return true
	})
	return h.Handler.Handle(ctx, n)
}

// WithAttrs implements slog.Handler.
func (h cleanHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return cleanHandler{h.Handler.WithAttrs(attrs), h.r}
}

// WithGroup implements slog.Handler.
func (h cleanHandler) WithGroup(name string) slog.Handler {
	return cleanHandler{h.Handler.WithGroup(name), h.r}
}
