package server

import (
	"testing"

	"github.com/moongate-vpn/moongate/mgmt"
)

// A row of the command table without a handler, or a handler without a row, would only show when somebody uses it.
func TestEveryCommandHasAHandler(t *testing.T) {
	left := len(handlers)
	for _, c := range mgmt.Commands() {
		if c.Reply == mgmt.ReplyNone {
			continue // exit and quit
		}
		if handlers[c.Name].run == nil {
			t.Errorf("%s has no handler", c.Name)
		}
		left--
	}
	if left != 0 {
		t.Errorf("%d handlers are of no command", left)
	}
}
