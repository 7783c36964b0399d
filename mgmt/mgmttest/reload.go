package mgmttest

import "github.com/moongate-vpn/moongate/mgmt"

// reload holds the answer of the next reloads.
type reload struct {
	changes []mgmt.Reloaded
	err     error
}

// SetReload sets what a reload reports, or its error.
func (c *Controller) SetReload(changes []mgmt.Reloaded, err error) {
	c.set(func() { c.reload = reload{changes, err} })
}

// Reload implements server.Reloader.
func (c *Controller) Reload() ([]mgmt.Reloaded, error) {
	c.Record("Reload")
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reload.changes, c.reload.err
}

func (c *Controller) changes() []mgmt.Reloaded {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reload.changes
}
