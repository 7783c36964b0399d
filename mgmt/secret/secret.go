package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options tune Resolve. The zero value is fine.
type Options struct {
	// Timeout bounds each source, default 10 s. The wait of totp for a fresh step comes on top and is bounded by the context.
	Timeout time.Duration
	// StateDir keeps the steps of one-time codes that were given out, default StateDir().
	StateDir string
	// Whole asks for all lines that file:, cmd:, pass:, keyring: and systemd: have, not for the first alone.
	Whole bool
	// Getenv is asked for env: and systemd:, default os.Getenv.
	Getenv func(string) string
}

// Error says which reference failed, why, and what to try. Ref holds no secret: it says only where one is kept.
type Error struct {
	Ref string
	Err error
}

// Error names the reference first.
func (e *Error) Error() string { return "secret " + e.Ref + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// maxSecret is the longest secret, in bytes.
const maxSecret = 64 << 10

// source fetches what is behind the scheme.
type source func(ctx context.Context, name string, o Options) (string, error)

var sources = map[string]source{
	"env": fromEnv, "file": fromFile, "cmd": fromCommand, "pass": fromPass, "keyring": fromKeyring, "systemd": fromSystemd,
}

// Schemes are the words a reference may start with, in alphabetical order.
func Schemes() []string { return []string{"cmd", "env", "file", "keyring", "pass", "systemd", "totp"} }

// IsRef reports whether text is a reference: a known scheme and a colon.
func IsRef(text string) bool {
	scheme, _, ok := strings.Cut(text, ":")
	return ok && slices.Contains(Schemes(), scheme)
}

// Scheme is the source that a reference names, without totp.
func Scheme(ref string) string {
	scheme, _, _ := strings.Cut(strings.TrimPrefix(ref, "totp:"), ":")
	return scheme
}

// Check reports a mistake in the form of a reference without fetching anything.
func Check(ref string) error {
	rest := ref
	for strings.HasPrefix(rest, "totp:") {
		if rest = rest[len("totp:"):]; strings.HasPrefix(rest, "totp:") {
			return &Error{ref, errors.New("totp: stands once")}
		}
	}
	scheme, name, ok := strings.Cut(rest, ":")
	if _, known := sources[scheme]; !ok || !known {
		return &Error{ref, fmt.Errorf("want SOURCE:NAME with a source of %s", strings.Join(Schemes(), ", "))}
	}
	if name == "" {
		return &Error{ref, fmt.Errorf("nothing follows %s: where a name belongs", scheme)}
	}
	if scheme == "keyring" && !validKeyring(name) {
		return &Error{ref, errors.New("want keyring:SERVICE/ACCOUNT")}
	}
	return nil
}

// Resolve returns the secret that ref names. Every error is an *Error; a source that takes longer than the timeout gives one
// that matches context.DeadlineExceeded.
func Resolve(ctx context.Context, ref string, o Options) (string, error) {
	if err := Check(ref); err != nil {
		return "", err
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	inner, totp := strings.CutPrefix(ref, "totp:")
	o.Whole = o.Whole && !totp // a key is a line
	text, err := fetch(ctx, inner, o)
	if err == nil && totp {
		text, err = code(ctx, text, o)
	}
	if err != nil {
		return "", &Error{ref, err}
	}
	return text, nil
}

func fetch(ctx context.Context, ref string, o Options) (string, error) {
	scheme, name, _ := strings.Cut(ref, ":")
	limited, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	text, err := sources[scheme](limited, name, o)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case limited.Err() != nil:
		return "", late(fmt.Sprintf("no answer within %v", o.Timeout))
	case err != nil:
		return "", err
	case len(text) > maxSecret:
		return "", fmt.Errorf("longer than %d bytes", maxSecret)
	case text == "":
		return "", errors.New("it is empty")
	}
	return text, nil
}

// late is the text of an error that matches context.DeadlineExceeded, and says by itself that the time is over.
type late string

// Error is the text.
func (l late) Error() string { return string(l) }

// Is makes it an error of a deadline.
func (l late) Is(err error) bool { return err == context.DeadlineExceeded }

// wanted is the part of a text that the caller asked for.
func (o Options) wanted(text string) string {
	if o.Whole {
		return text
	}
	return firstLine(text)
}

// firstLine is text up to its first line end.
func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r")
}

// StateDir is where processes of this user note the one-time codes they gave out: what systemd names (StateDirectory=), else /var/lib/moongate for root, else
// below XDG_STATE_HOME or ~/.local/state.
func StateDir() (string, error) {
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/moongate", nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "moongate"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("nowhere to note one-time codes: %w", err)
	}
	return filepath.Join(home, ".local", "state", "moongate"), nil
}
