// Package env has what every command gets: streams, the connection to a daemon, output formats, and the one place where kinds
// of errors become exit codes.
//
// Data goes to Out, talk to Err. A command returns an error and prints none.
package env

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/report"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Env is the world of one run of the program.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Getenv   func(string) string
	InTTY    bool // In is a terminal
	OutTTY   bool // Out is a terminal
	ErrTTY   bool // Err is one
	Width    int  // columns of the terminal behind Out, 0 for no limit

	// CheckConfig reads a daemon's command line with the files it names and returns all there is to say about it.
	CheckConfig func(args []string) []report.Finding

	// AskHidden asks the person at the terminal without showing the answer; nil where there is no terminal.
	AskHidden func(ctx context.Context, prompt string) (string, error)

	// AskShown asks as AskHidden does and shows what is typed. It is nil where AskHidden is.
	AskShown func(ctx context.Context, prompt string) (string, error)

	// Session is an open session that commands use in place of their own, the prompt's; nil outside it.
	Session *client.Client

	// Set by the global flags.
	Addrs        []string // -a, each an address, a path, a name or a pattern of names
	Password     string   // --password: a secret reference
	PasswordFile string
	NoAsk        bool
	CA           string        // file of authorities for tls:// addresses; empty: those of the system
	Cert, Key    string        // files of the certificate to show, with its key
	Format       string        // "table", "json" or "raw"
	JSON         bool          // --json
	Timeout      time.Duration // of the dial, the greeting and each reply

	// Origin, when set, is the name of the one of several targets that this run is for. JSON output carries it.
	Origin string

	target target.Target // settled by SetTarget
	asked  passwords
}

// passwords remembers what was typed, so that a second dial of the same target asks nobody.
type passwords struct {
	sync.Mutex
	typed map[string]string
}

// Targets are the targets that -a, MOONGATE_ADDR or the only socket in the usual folder name.
func (e *Env) Targets() ([]target.Target, error) {
	book := target.New(e.Getenv)
	words := e.Addrs
	if a := e.Getenv("MOONGATE_ADDR"); len(words) == 0 && a != "" {
		words = []string{a}
	}
	if len(words) == 0 {
		t, err := book.Only()
		if err != nil {
			return nil, Usagef("%v", err)
		}
		return []target.Target{t}, nil
	}
	all, err := book.Resolve(words)
	if errors.Is(err, target.ErrClosed) {
		return nil, err
	}
	if err != nil {
		return nil, Usagef("%v", err)
	}
	return all, nil
}

// SetTarget makes t the target of this run.
func (e *Env) SetTarget(t target.Target) { e.target = t }

// Target is the target of this run, the only one that the flags name if none is set yet.
func (e *Env) Target() (target.Target, error) {
	if e.target.Address != "" {
		return e.target, nil
	}
	all, err := e.Targets()
	if err != nil {
		return target.Target{}, err
	}
	if len(all) > 1 {
		return target.Target{}, Usagef("this command takes one target, -a names %d", len(all))
	}
	e.target = all[0]
	return e.target, nil
}

// Resolve settles the output format from -o and --json.
func (e *Env) Resolve() error {
	if e.JSON {
		e.Format = "json"
	}
	switch e.Format {
	case "":
		e.Format = "table"
	case "table", "json", "raw":
	default:
		return Usagef("output format %q: want table, json or raw", e.Format)
	}
	return nil
}

// WriteJSON prints one object on one line, with the origin as its second field when there are several targets.
func (e *Env) WriteJSON(v any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	text := b.String()
	if head, rest, ok := strings.Cut(text, ","); ok && e.Origin != "" && strings.HasPrefix(head, `{"schema":`) {
		name, _ := json.Marshal(e.Origin)
		text = head + `,"origin":` + string(name) + "," + rest
	}
	_, err := io.WriteString(e.Out, text)
	return err
}

// WriteLines prints lines.
func (e *Env) WriteLines(lines ...string) error {
	for _, l := range lines {
		if _, err := fmt.Fprintln(e.Out, Clean(l)); err != nil {
			return err
		}
	}
	return nil
}

// Dumb reports whether the terminal understands no escape sequences.
func Dumb(getenv func(string) string) bool {
	t := strings.ToLower(getenv("TERM"))
	return t == "dumb" || t == "cons25" || t == "" && runtime.GOOS != "windows" // which has no such variable
}

// Steers reports whether standard output is a terminal that understands escape sequences.
func (e *Env) Steers() bool { return e.OutTTY && !Dumb(e.Getenv) }

// Colours reports whether standard output takes colours, and the user wants them.
func (e *Env) Colours() bool { return e.Steers() && e.Getenv("NO_COLOR") == "" }

// Clean replaces what would steer the terminal in a daemon's text. TAB stays.
func Clean(s string) string { return mgmt.Plain(s) }
