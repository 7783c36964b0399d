package engine

import (
	"context"
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// Port is the management port to an engine of either mode: what it tells, and what it waits for. *server.Server of mgmt is one; an
// unreachable one stands for a daemon without a port.
type Port interface {
	State(mgmt.State)
	Notify(kind, text string)
	UpDown(up bool, env []string)
	// HoldFlag reports whether the next start waits for a release.
	HoldFlag() bool
	// Hold waits for the release if the flag is set. pause is shown: the wait without a hold.
	Hold(ctx context.Context, pause time.Duration) error
}
