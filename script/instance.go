package script

import (
	"context"
	"errors"
	"sync"

	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/script/sandbox"
)

// Instance is one version of a script at work. A version that takes the place of another is started, proven by its main chunk,
// and begins to handle events only then; the other ends when what it has begun is over:
//
//	Start ─► Ready ─► Begin ─► Drain ─► Done
type Instance struct {
	control control
	once    struct{ begin, drain sync.Once }
	cancel  context.CancelFunc
	ready   chan error // room for one
	done    chan struct{}
	err     error
}

// Prepared is a compiled script.
type Prepared struct {
	path  string
	chunk *sandbox.Chunk
}

// Prepare compiles the file at path. A mistake in it is an *Error.
func Prepare(path string) (*Prepared, error) {
	chunk, err := compile(path)
	if err != nil {
		return nil, err
	}
	return &Prepared{path, chunk}, nil
}

// PrepareSource is Prepare for a file that was read already.
func PrepareSource(path string, source []byte) (*Prepared, error) {
	chunk, err := compileSource(path, source)
	if err != nil {
		return nil, err
	}
	return &Prepared{path, chunk}, nil
}

// Start compiles the file at path and runs it on c, which stays open. It returns at once; mistakes are told by Ready.
func Start(ctx context.Context, c *client.Client, path string, o Options) *Instance {
	p, err := Prepare(path)
	if err != nil {
		i := &Instance{cancel: func() {}, ready: make(chan error, 1), done: make(chan struct{}), err: err}
		i.ready <- err
		close(i.done)
		return i
	}
	return p.Start(ctx, c, o)
}

// Start runs the script on c, which stays open.
func (p *Prepared) Start(ctx context.Context, c *client.Client, o Options) *Instance {
	ctx, cancel := context.WithCancel(ctx)
	i := &Instance{cancel: cancel, ready: make(chan error, 1), done: make(chan struct{})}
	i.control = control{begin: make(chan struct{}), drain: make(chan struct{}), keep: new(bool)}
	o.control = i.control
	o.control.ready = func() { i.ready <- nil }
	go func() {
		defer close(i.done)
		defer cancel()
		i.err = runChunk(ctx, c, p.path, p.chunk, o)
		select {
		case i.ready <- orEnded(i.err):
		default: // it was proven, or nobody has looked yet that it was
		}
	}()
	return i
}

// errEnded is Ready's answer about a script that had nothing to wait for.
var errEnded = errors.New("the script ended")

func orEnded(err error) error {
	if err == nil {
		return errEnded
	}
	return err
}

// Ready receives nil when the main chunk has run without an error, or the error: that of the script, or that it ended.
func (i *Instance) Ready() <-chan error { return i.ready }

// Begin lets the script handle events: those since its main chunk ended, and with all those before too. It is idempotent.
func (i *Instance) Begin(all bool) {
	if i.control.begin == nil {
		return // it did not even compile
	}
	i.once.begin.Do(func() {
		*i.control.keep = all
		close(i.control.begin)
	})
}

// Drain ends the script when the handlers that run have ended. It is idempotent.
func (i *Instance) Drain() {
	if i.control.drain != nil {
		i.once.drain.Do(func() { close(i.control.drain) })
	}
}

// Stop ends the script at once, and waits for it.
func (i *Instance) Stop() {
	i.cancel()
	<-i.done
}

// Done is closed when the script has ended; Err then tells how, as Run does.
func (i *Instance) Done() <-chan struct{} { return i.done }

// Err tells how the script ended.
func (i *Instance) Err() error { return i.err }
