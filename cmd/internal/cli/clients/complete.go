package clients

import (
	"context"
	"time"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// completeWithin is how long a shell may wait for completions.
const completeWithin = 400 * time.Millisecond

// Complete lists the common names of the connected clients, for completion: nothing when the daemon does not say so quickly or wants
// a password that is not at hand.
func Complete(ctx context.Context, e *env.Env) []string {
	ctx, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	old := e.NoAsk
	e.NoAsk, e.Timeout = true, completeWithin
	defer func() { e.NoAsk = old }()
	var names []string
	_ = e.With(ctx, func(ctx context.Context, c *client.Client) error {
		s, err := c.Status(ctx)
		for _, cl := range s.Clients {
			if cl.CommonName != "" {
				names = append(names, cl.CommonName)
			}
		}
		return err
	})
	return names
}
