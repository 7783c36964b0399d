package script

import (
	"bytes"
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

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"github.com/moongate-vpn/moongate/mgmt/client"
)

// Options tune a script. The zero value is fine.
type Options struct {
	Args           []string                                          // moongate.args
	HandlerTimeout time.Duration                                     // default 5 s
	Log            *slog.Logger                                      // log.* and the errors of handlers; default: nowhere
	Print          func(string)                                      // print(); default: Log at info
	ReadDirs       []string                                          // folders file.read may open beside the script's own
	Queue          int                                               // events waiting, default client.DefaultQueue
	Client         client.Options                                    // for Run
	Redial         func(ctx context.Context) (*client.Client, error) // a new session after one was lost; nil: Run ends
}

func (o Options) withDefaults() Options {
	if o.HandlerTimeout <= 0 {
		o.HandlerTimeout = 5 * time.Second
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
	proto, err := compile(path)
	if err != nil {
		return err
	}
	r, err := newRuntime(ctx, path, o.withDefaults())
	if err != nil {
		return err
	}
	defer r.close()
	return r.run(ctx, c, proto)
}

// Check compiles the file at path without running it. A mistake in it is an *Error.
func Check(path string) error {
	_, err := compile(path)
	return err
}

func compile(path string) (*lua.FunctionProto, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	return compileSource(path, src)
}

func compileSource(path string, src []byte) (*lua.FunctionProto, error) {
	src = bytes.TrimPrefix(src, []byte("\ufeff"))
	if len(src) > maxSource {
		return nil, &Error{File: path, Text: "script too large"}
	}
	text := string(src)
	if strings.HasPrefix(text, "#!") {
		text = "--" + text
	}
	name := filepath.Base(path)
	chunk, err := parse.Parse(strings.NewReader(text), name)
	if err != nil {
		return nil, withPath(scriptError(name, err, nil), path)
	}
	proto, err := lua.Compile(chunk, name)
	if err != nil {
		return nil, withPath(scriptError(name, err, nil), path)
	}
	return proto, nil
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
