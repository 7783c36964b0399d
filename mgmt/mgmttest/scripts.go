package mgmttest

import (
	"time"

	"github.com/moongate-vpn/moongate/mgmt"
)

// SetScripts sets what scripts tells.
func (c *Controller) SetScripts(list []mgmt.ScriptStatus) { c.set(func() { c.scripts = list }) }

// Scripts implements server.Scripter.
func (c *Controller) Scripts() []mgmt.ScriptStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.scripts
}

// script is the directive: script NAME STATE ERROR.
func (d *Daemon) script(name, state, lastError string) {
	d.Ctl.SetScripts(append(d.Ctl.Scripts(), mgmt.ScriptStatus{
		Name: name, State: mgmt.ScriptState(state), Since: time.Unix(1795409407, 0), Handlers: 2, Events: 3, Errors: 1, Memory: 1 << 20, LastError: lastError,
	}))
}
