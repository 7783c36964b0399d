package client

import "github.com/moongate-vpn/moongate/daemon/logging"

// warnUnsupported says at start which options have no effect.
func (c *Client) warnUnsupported() {
	o := c.opts
	for _, w := range []struct {
		on        bool
		name, why string
	}{
		{o.MTUTest, "mtu-test", "the path is not measured; --mssfix and --fragment bound what is sent"},
		{o.Connections[0].LinkMTU > 0, "link-mtu", "use --tun-mtu"},
	} {
		if w.on {
			c.log(logging.Warn, "WARNING: --%s is ignored: %s", w.name, w.why)
		}
	}
}
