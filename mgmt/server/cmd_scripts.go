package server

import "github.com/moongate-vpn/moongate/mgmt"

// Scripter is a Controller whose daemon runs scripts. Without it there are none.
type Scripter interface {
	// Scripts tells how each script is, in the order of the configuration.
	Scripts() []mgmt.ScriptStatus
}

// scripts is an extension of ours: a list of mgmt.ScriptStatus.
func (c *call) scripts() {
	var lines []string
	if s, ok := c.s.cfg.Controller.(Scripter); ok {
		for _, st := range s.Scripts() {
			lines = append(lines, st.String())
		}
	}
	c.list(lines)
}
