//go:build nofleet

package jet

import (
	"context"

	"github.com/moongate-vpn/moongate/daemon/fleet"
)

// Engine is not in this build.
type Engine struct{}

// Store is not in this build.
type Store struct{ fleet.Store }

// Start returns ErrLeftOut.
func Start(context.Context, Config) (*Engine, error) { return nil, ErrLeftOut }

// Dial returns ErrLeftOut.
func Dial(Outside) (*Engine, error) { return nil, ErrLeftOut }

// Forget does nothing.
func (*Engine) Forget(context.Context, []string) error { return ErrLeftOut }

// Replicas is 0.
func (*Store) Replicas(context.Context) (int, error) { return 0, ErrLeftOut }

// Leader is unknown.
func (*Store) Leader(context.Context) (string, error) { return "", ErrLeftOut }

// Store returns nil.
func (*Engine) Store() *Store { return nil }

// Close does nothing.
func (*Engine) Close() {}

// Close does nothing.
func (*Store) Close() {}

// SetReplicas does nothing.
func (*Store) SetReplicas(int) {}

// Replicas is 0.
func Replicas(int) int { return 0 }

// Keeps reports nothing.
func (*Engine) Keeps() bool { return true }
