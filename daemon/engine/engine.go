package engine

import "context"

// Engine is a running client, peer or server.
type Engine interface {
	// Run works until SIGHUP, SIGTERM or SIGINT ends it, and restarts by itself on SIGUSR1. Everything it opened is
	// closed and undone when it returns. An end of ctx acts like SIGTERM.
	Run(ctx context.Context) Stop

	// Status returns the lines of the status command and file in the layout of version (0 is the configured one),
	// up to and including END, or false for a version that does not exist. It never blocks.
	Status(version int) ([]string, bool)

	// Forget drops cached passwords and tokens.
	Forget()
}
