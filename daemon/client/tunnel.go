package client

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/tunnel"
)

// device is an open tunnel with its reader. It may outlive the attempt that opened it (persist-tun).
type device struct {
	*tunnel.Tunnel
	digest  string // of the pulled options it was made for
	persist bool   // keep it over restarts
	wg      sync.WaitGroup
}

// plan works out the tunnel of an attempt. Nothing is opened yet.
func (c *Client) plan(ctx context.Context, o *config.Options, prof *config.Connection, server netip.Addr, digest string) (*device, error) {
	t, err := tunnel.Plan(ctx, tunnel.Config{
		Options: o, Profile: prof, Server: server, Net: c.deps.Net, Notes: c.deps.Notes,
		Env: c.env, Hooks: c.hooks, Log: c.log, State: c.state, UpDown: c.port.UpDown,
	})
	if err != nil {
		return nil, err
	}
	return &device{Tunnel: t, digest: digest, persist: o.PersistTun}, nil
}

// read starts the reader, which lives until the device is closed.
func (d *device) read(c *Client) {
	o := &outbound{device: d.Device(), path: &c.path, total: &c.totals.Out, notice: c.linkNotice, passTOS: c.opts.PassTOS && !d.Device().TAP(), failed: c.deviceFailed}
	d.wg.Go(o.run)
}

// close takes the tunnel down and waits for the reader.
func (d *device) close(why engine.Stop) error { return d.Close(why, d.wg.Wait) }

// openFirst opens the tunnel before the connection, as peers that do not pull do it, unless up-delay makes them wait.
func (c *Client) openFirst(ctx context.Context, prof *config.Connection) error {
	c.early = !c.opts.Pull && !c.opts.UpDelay
	if !c.early {
		return nil
	}
	if t := c.tunnel; t != nil {
		c.log(logging.Info, "Preserving previous TUN/TAP instance: %s", t.Device().Name())
		if c.opts.UpRestart {
			return t.Restarted(ctx, true)
		}
		return nil
	}
	server, _ := netip.ParseAddr(prof.Remote) // names are looked up later; helper routes need the address
	t, err := c.plan(ctx, c.opts, prof, server, "")
	if err != nil {
		return err
	}
	c.tunnel = t
	if err := t.Open(ctx, "init"); err != nil {
		return err
	}
	t.read(c)
	c.routesOK = t.RoutesUp(ctx)
	return nil
}

// floats reports whether the peer may change its address: with float, and by default without a remote. Any other socket is
// connected and hears no other address.
func (a *attempt) floats() bool { return !a.stream() && (a.prof.Float || a.prof.Remote == "") }

// heardFrom is the first authenticated data of the peer, or data from another address than before, which answers go to
// from now on (float).
func (a *attempt) heardFrom(from transport.Peer) {
	if a.stop != nil {
		return
	}
	first := !a.heard && a.session == nil
	a.heard = true
	if from.Addr.IsValid() && from.Addr != a.peer.Addr && a.floats() {
		a.peer = from
		if a.stage == session.Established {
			a.publish(a.c.tunnel)
		}
		if !first {
			a.c.log(logging.Steps, "[%s] Peer address changed to %s", a.name(), transport.AddrText(from.Addr))
			a.trustPeer()
			a.addressChanged()
		}
	}
	if first {
		a.staticHeard()
	}
}

// loops makes what says, at most once a second, that a packet for the server itself came out of the tunnel. That is safe for
// any goroutine: the peer of the moment is the owner's.
func (a *attempt) loops() func() {
	server := transport.AddrText(a.peer.Addr)
	return func() {
		if a.failureLogged.CompareAndSwap(false, true) {
			a.c.log(logging.Detail, "Recursive routing detected, drop tun packet to %s", server)
			time.AfterFunc(time.Second, func() { a.failureLogged.Store(false) })
		}
	}
}
