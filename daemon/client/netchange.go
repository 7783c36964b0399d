package client

import (
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"
)

// NetworkChange tells that this host is in another network, or with same back in the one it was in. A connection goes on
// from a new socket where its server knows us by more than our address; otherwise, and between two connections, we connect
// again without a pause. A hold and questions wait on. It implements the management port's ClientController.
func (c *Client) NetworkChange(same bool) {
	a := c.live.Load()
	if a == nil && !c.underway.Load() {
		return
	}
	if a == nil {
		c.sig.Raise(c.soft(engine.Soft, mgmt.ReasonNetworkChange))
		return
	}
	a.order(func() { a.networkChanged(same, time.Now()) })
}

func (a *attempt) networkChanged(same bool, now time.Time) {
	if a.stop != nil {
		return
	}
	if !same {
		if err := a.move(); err != nil {
			a.log(logging.Error, "%v", err)
		}
	}
	if a.stop == nil && a.channel != nil && a.channel.Ready() {
		a.ping(now) // the server learns at once where we are
	}
}

// move replaces the socket, or ends the attempt when that would not help.
func (a *attempt) move() error {
	tunnel := a.c.tunnel
	if tunnel != nil && tunnel.Bypasses() {
		tunnel.persist = false // its way to the server is that of the old network
	} else if a.movable() {
		cfg, err := a.c.dialConfig(a.ctx, a.prof, a.peer.Addr)
		if err != nil {
			return err
		}
		a.link.Close() // it may have the port we want
		link, err := transport.DialUDP(a.ctx, cfg)
		if err == nil {
			a.log(logging.Info, "Network changed, going on from a new socket")
			a.c.logLink(a.prof, link, a.peer.Addr)
			a.link, a.broken = link, make(chan error, 1)
			a.receive()
			a.publish(tunnel)
			return nil
		}
		defer a.end(engine.USR1, mgmt.ReasonNetworkChange)
		return err
	}
	a.end(engine.USR1, mgmt.ReasonNetworkChange)
	return nil
}

// movable reports whether the server finds the session of a packet from anywhere: by the peer id of UDP packets. An address
// that we are bound to may need a lookup, and a proxy a login.
func (a *attempt) movable() bool {
	return a.stage == session.Established && a.opts.Pull && a.channel != nil && a.channel.Params().V2 && !a.stream && a.prof.Local == "" && a.prof.SOCKSProxy == nil
}
