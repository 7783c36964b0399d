package client

import (
	"context"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/engine"
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
func (a *attempt) plan(ctx context.Context, digest string) (*device, error) {
	c := a.c
	t, err := tunnel.Plan(ctx, tunnel.Config{
		Options: a.opts, Profile: a.prof, Server: a.peer.Addr.Addr(), Net: c.deps.Net, StateDir: c.deps.StateDir,
		Env: c.env, Hooks: c.hooks, Log: c.log, State: c.state, UpDown: c.port.UpDown,
	})
	if err != nil {
		return nil, err
	}
	return &device{Tunnel: t, digest: digest, persist: a.opts.PersistTun}, nil
}

// read starts the reader, which lives until the device is closed.
func (d *device) read(c *Client) {
	o := &outbound{device: d.Device(), path: &c.path, total: &c.totals.Out, notice: c.linkNotice, passTOS: c.opts.PassTOS && !d.Device().TAP(), failed: c.deviceFailed}
	d.wg.Go(o.run)
}

// close takes the tunnel down and waits for the reader.
func (d *device) close(why engine.Stop) error { return d.Close(why, d.wg.Wait) }
