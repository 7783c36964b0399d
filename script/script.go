package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script/lib"
	"github.com/moongate-vpn/moongate/script/sandbox"
)

// Options tune a script. The zero value is fine.
type Options struct {
	Args           []string                                          // moongate.args
	HandlerTimeout time.Duration                                     // for one call, waits included; default 30 s
	Burst          time.Duration                                     // processor time of a call between two waits; default 100 ms
	Memory         int64                                             // bytes of Lua's data, default 64 MiB
	Alone          bool                                              // the process does nothing else: its heap is the script's
	Allow          Allow                                             // what it may do beside
	SecretState    string                                            // where used one-time codes are noted, default secret.StateDir
	Strict         bool                                              // Run fails when a handler failed
	Log            *slog.Logger                                      // log.* and the errors of handlers; default: nowhere
	Print          func(string)                                      // print(); default: Log at info
	ReadDirs       []string                                          // files and folders that file.read may open, like Allow.Read
	Queue          int                                               // events waiting, default client.DefaultQueue
	Client         client.Options                                    // for Run
	Redial         func(ctx context.Context) (*client.Client, error) // a new session after one was lost, closed by the caller; nil: Run ends
	DryRun         func(line string)                                 // is told commands that change something, instead of the daemon
	Clock          func() time.Time                                  // default time.Now
	Status         func(mgmt.ScriptStatus)                           // is told when something changed, by the script's goroutine

	// Addresses are those that scripts serve at, default AddressesOf the file.
	Addresses Addresses

	// SharedLog tells that others write where Print and Log write: what the script writes is bounded, and what is left out is counted.
	SharedLog bool

	Ask func(context.Context, Question) (string, error) // "ok", "cancel" or a text; nil: there is nobody to ask

	// Events are those of the session that Run begins with; nil: the script subscribes itself. Scripts that share a session get theirs by
	// client.SubscribeEach, so that none takes what came before from another.
	Events *client.Subscription

	control control
}

// Defaults of Options.
const (
	DefaultHandlerTimeout = 30 * time.Second
	DefaultBurst          = 100 * time.Millisecond
	DefaultMemory         = 64 << 20
)

func (o Options) withDefaults() Options {
	if o.HandlerTimeout <= 0 {
		o.HandlerTimeout = DefaultHandlerTimeout
	}
	if o.Burst <= 0 {
		o.Burst = DefaultBurst
	}
	if o.Memory <= 0 {
		o.Memory = DefaultMemory
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Print == nil {
		log := o.Log
		o.Print = func(s string) { log.Info(s) }
	}
	if o.Queue <= 0 {
		o.Queue = client.DefaultQueue
	}
	return o
}

// maxSource is the longest script, in bytes.
const maxSource = 4 << 20

// Run speaks the management protocol on conn and runs the file at path until it has nothing left to wait for, stops itself
// (*ExitError), its main chunk fails (*Error), the session ends (client.ErrLost) or ctx does. conn is closed.
func Run(ctx context.Context, conn net.Conn, path string, o Options) error {
	c, err := client.New(ctx, conn, o.Client)
	if err != nil {
		return err
	}
	defer c.Close()
	return RunClient(ctx, c, path, o)
}

// RunClient is Run on an open session. c is left open.
func RunClient(ctx context.Context, c *client.Client, path string, o Options) error {
	chunk, err := compile(path)
	if err != nil {
		return err
	}
	return runChunk(ctx, c, path, chunk, o)
}

func runChunk(ctx context.Context, c *client.Client, path string, chunk *sandbox.Chunk, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	r, err := newRuntime(ctx, path, o.withDefaults())
	if err != nil {
		cancel()
		return err
	}
	defer r.close()
	defer cancel()
	return r.run(ctx, c, chunk)
}

// Check compiles the file at path without running it. A mistake in it is an *Error.
func Check(path string) error {
	_, err := compile(path)
	return err
}

func compile(path string) (*sandbox.Chunk, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	return compileSource(path, src)
}

func compileSource(path string, src []byte) (*sandbox.Chunk, error) {
	if len(src) > maxSource {
		return nil, &Error{File: path, Text: "script too large"}
	}
	text := sourceText(src)
	name := filepath.Base(path)
	chunk, err := sandbox.Compile(name, text)
	if err != nil {
		e := withPath(scriptError(name, err, nil, nil), path)
		e.Text = lib.Clip(e.Text, maxErrorText)
		return nil, e
	}
	return chunk, nil
}

// sourceText is Lua: without a byte order mark, and with the line for the shell as a comment.
func sourceText(src []byte) string {
	text := strings.TrimPrefix(string(src), "\ufeff")
	if strings.HasPrefix(text, "#!") {
		text = "--" + text
	}
	return text
}

// withPath names the file as the caller did.
func withPath(e *Error, path string) *Error {
	if e.File == filepath.Base(path) {
		e.File = path
	}
	return e
}

// errStopped ends the loop after moongate.stop.
var errStopped = errors.New("stopped")
