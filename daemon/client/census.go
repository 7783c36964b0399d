package client

import "github.com/moongate-vpn/moongate/daemon/engine"

// Census implements engine.Counted. A client is ready while its tunnel is open.
func (c *Client) Census(bool) engine.Census {
	p := c.path.Load()
	if p == nil {
		return engine.Census{}
	}
	n := engine.Census{Ready: p.device != nil, Dropped: make(map[string]uint64)}
	if p.channel != nil {
		p.channel.Counters.AddDrops(n.Dropped)
	}
	return n
}
