package script

import (
	"context"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// dryRun is a session whose commands that change something are only told. Looking and switching streams on are real.
type dryRun struct {
	session
	tell func(line string)
}

// Start implements session.
func (d *dryRun) Start(ctx context.Context, line string) func(context.Context) (client.Reply, error) {
	if looks(line) {
		return d.session.Start(ctx, line)
	}
	d.tell(client.Redact(line))
	return success
}

// StartBlock implements session.
func (d *dryRun) StartBlock(_ context.Context, line string, lines []string) func(context.Context) (client.Reply, error) {
	d.tell(strings.Join(append([]string{client.Redact(line)}, lines...), " | "))
	return success
}

func success(context.Context) (client.Reply, error) {
	return client.Reply{Raw: []string{"SUCCESS: dry run"}}, nil
}

// looks reports whether a command changes nothing.
func looks(line string) bool {
	words, err := lexer.Split(line, "")
	if err != nil || len(words) == 0 {
		return true // the daemon says what is wrong with it
	}
	cmd := mgmt.Lookup(words[0])
	return cmd != nil && cmd.Needs(len(words)-1) == mgmt.RoleObserve
}
