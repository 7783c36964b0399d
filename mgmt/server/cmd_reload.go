package server

import (
	"strings"

	"github.com/moongate-vpn/moongate/mgmt"
)

// Reloader is a Controller that can change the configuration of a running server. Without it there is no reload.
type Reloader interface {
	// Reload reads the configuration again, makes in force what can be without ending a session, and tells about every
	// option that changed. On an error nothing was changed; it tells where the mistake is.
	Reload() ([]mgmt.Reloaded, error)
}

// reload is an extension of ours: the answer is a list of OPTION,OUTCOME. Stock's way, a restart, is reload full.
func (c *call) reload() {
	if len(c.args) > 0 {
		if c.args[0] != "full" {
			c.reply("ERROR: reload parameter must be 'full'")
			return
		}
		c.args = []string{mgmt.SIGHUP}
		c.signal()
		return
	}
	r, ok := c.s.cfg.Controller.(Reloader)
	if !ok || c.s.cfg.Controller.Server() == nil {
		c.unsupported(c.cmd.Name)
		return
	}
	changes, err := r.Reload()
	if err != nil {
		c.reply("ERROR: reload failed, nothing was changed: " + strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	lines := make([]string, len(changes))
	for i, ch := range changes {
		lines[i] = ch.String()
	}
	c.list(lines)
}
