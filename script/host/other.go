//go:build !linux

package host

import (
	"context"
	"errors"
	"log/slog"
	"net"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/script"
)

// Supported reports whether children can be had on this system.
const Supported = false

// Enter makes this process a child where there are any.
func Enter() {}

// Output is where the words of a script go.
type Output struct {
	Log    *slog.Logger
	Print  func(text string)
	Status func(mgmt.ScriptStatus)
	Ask    func(context.Context, script.Question) (string, error)
}

// Child is a script at work in a process of its own.
type Child struct{}

// Start returns an error: there are no children on this system.
func Start(context.Context, Spec, func(net.Conn), Output) (*Child, error) {
	return nil, errors.ErrUnsupported
}

// PID is 0.
func (*Child) PID() int { return 0 }

// Ready is nil.
func (*Child) Ready() <-chan error { return nil }

// Begin does nothing.
func (*Child) Begin(bool) {}

// Drain does nothing.
func (*Child) Drain() {}

// Probe does nothing.
func (*Child) Probe() {}

// Stop does nothing.
func (*Child) Stop() {}

// Done is nil.
func (*Child) Done() <-chan struct{} { return nil }

// Err is nil.
func (*Child) Err() error { return nil }
