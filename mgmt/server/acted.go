package server

import (
	"strings"

	"github.com/moongate-vpn/moongate/mgmt"
)

// openArgs are how many arguments of a command hold no secret: texts of users and of those who decide about them are left out.
var openArgs = map[string]int{
	"auth-retry": 1, "bytecount": 1, "client-auth": 2, "client-auth-nt": 2, "client-deny": 2, "client-kill": 1, "client-pending-auth": 2,
	"hold": 1, "kill": 1, "log": 1, "mute": 1, "reload": 1, "signal": 1, "verb": 1,
}

// tellActed hands on a command that changes something.
func (c *call) tellActed() {
	if c.s.cfg.Acted == nil || c.cmd.Needs(len(c.args)) == mgmt.RoleObserve {
		return
	}
	n := min(openArgs[c.cmd.Name], len(c.args))
	c.s.cfg.Acted(c.name, strings.Join(append([]string{c.cmd.Name}, c.args[:n]...), " "))
}
