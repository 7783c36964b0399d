package hooks

import (
	"context"
	"errors"
	"time"
)

// Limit is how long a hook may take. It follows from what waits meanwhile, and nothing else bounds a hook.
type Limit time.Duration

// Limits.
const (
	OfTunnel = Limit(2 * time.Minute)  // a tunnel that comes up or goes down waits, and where the caller set no limit
	OfEvent  = Limit(30 * time.Second) // nothing waits but later hooks about the same client or address, or a handshake
	OfPlugin = Limit(20 * time.Second) // other events wait for their turn at the plugin; it bounds a call within the limit of its event
	OfEnd    = Limit(5 * time.Second)  // the end of a server waits
)

// OfLogin is for a client that logs in: patience is how long its login may take.
func OfLogin(patience time.Duration) Limit { return Limit(patience) }

// OfConnect is for a client whose login was accepted, and whose configuration is collected.
func OfConnect(patience time.Duration) Limit { return max(OfEvent, OfLogin(patience)) }

// Context ends with the cause ErrDeadline when the limit is over.
func (l Limit) Context(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, time.Duration(l), ErrDeadline)
}

// ErrDeadline is the cause of an Error when the script took too long.
var ErrDeadline = errors.New("external program took too long and was killed")

// Late reports whether the time of a hook was over.
func Late(ctx context.Context) bool { return errors.Is(context.Cause(ctx), ErrDeadline) }
