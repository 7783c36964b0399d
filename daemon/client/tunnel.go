package client

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/tunnel"
	"github.com/moongate-vpn/moongate/mgmt"
)

// holder keeps the tunnel. With persist-tun it outlives the attempt that opened it, together with its reader.
type holder struct {
	*scripts
	sig   *engine.Signals
	net   netconf.Net
	notes *netconf.Notes   // may be nil
	up    func(netip.Addr) // gets the address of each tunnel, and the zero address before it goes; may be nil
	sent  *atomic.Uint64   // bytes of the process

	path     atomic.Pointer[path] // what the data plane works with
	tunnel   *device              // nil without one
	early    bool                 // the tunnel opens before the connection
	routesOK bool                 // of such a tunnel
}

// device is an open tunnel with its reader.
type device struct {
	*tunnel.Tunnel
	digest  string // of the pulled options it was made for
	persist bool   // keep it over restarts
	wg      sync.WaitGroup
}

// plan works out the tunnel of an attempt. Nothing is opened yet.
func (h *holder) plan(ctx context.Context, o *config.Options, prof *config.Connection, server netip.Addr, digest string) (*device, error) {
	t, err := tunnel.Plan(ctx, tunnel.Config{
		Options: o, Profile: prof, Server: server, Net: h.net, Notes: h.notes,
		Env: h.env, Hooks: h.hooks, Signals: h.sig, Log: h.log, State: h.state, UpDown: h.port.UpDown,
	})
	if err != nil {
		return nil, err
	}
	return &device{Tunnel: t, digest: digest, persist: o.PersistTun}, nil
}

// openFirst opens the tunnel before the connection, as peers that do not pull do it, unless up-delay makes them wait.
func (h *holder) openFirst(ctx context.Context, prof *config.Connection) error {
	h.early = !h.opts.Pull && !h.opts.UpDelay
	if !h.early {
		return nil
	}
	if t := h.tunnel; t != nil {
		h.log(logging.Info, "Preserving previous TUN/TAP instance: %s", t.Device().Name())
		return t.Back(ctx)
	}
	server, _ := netip.ParseAddr(prof.Remote) // names are looked up later; helper routes need the address
	t, err := h.plan(ctx, h.opts, prof, server, "")
	if err != nil {
		return err
	}
	if err := h.open(ctx, t); err != nil {
		return err
	}
	h.routesOK = t.RoutesUp(ctx)
	return nil
}

// openPulled opens the tunnel of an attempt and lets packets through. p is the attempt's snapshot for the data plane, without a
// device. It runs beside the owner, which leaves the tunnel alone meanwhile.
func (h *holder) openPulled(ctx context.Context, o *config.Options, prof *config.Connection, digest string, p path) (routesOK bool, err error) {
	if h.tunnel != nil {
		if err := h.close(engine.Stop{Signal: engine.USR1}); err != nil {
			return false, err
		}
		select {
		case <-time.After(time.Second): // as stock does, for programs that watch devices come and go
		case <-ctx.Done():
			return false, nil
		}
	}
	t, err := h.plan(ctx, o, prof, p.peer.Addr.Addr(), digest)
	if err != nil {
		return false, err
	}
	if err := h.open(ctx, t); err != nil {
		return false, err
	}
	p.device = t.Device()
	h.path.Store(&p)
	return t.RoutesUp(ctx), nil
}

// open opens a tunnel and starts its reader, which lives until the device is closed.
func (h *holder) open(ctx context.Context, t *device) error {
	h.tunnel = t
	if err := t.Open(ctx, "init"); err != nil {
		return err
	}
	o := &outbound{device: t.Device(), path: &h.path, total: h.sent, notice: h.notice, passTOS: h.opts.PassTOS && !t.Device().TAP(), failed: h.failed}
	t.wg.Go(o.run)
	return nil
}

// failed ends the connection because the device is gone.
func (h *holder) failed(err error) {
	h.notice(err)
	h.sig.Raise(engine.Stop{Signal: engine.TERM, Source: engine.Soft, Reason: mgmt.ReasonTunStop})
}

// announce tells what listens on the tunnel's address which one that is; zero: it has none.
func (h *holder) announce() {
	if h.up != nil {
		own, _ := h.tunnel.Addresses()
		h.up(own)
	}
}

// close takes the tunnel down, if there is one, and waits for its reader.
func (h *holder) close(stop engine.Stop) error {
	t := h.tunnel
	if t == nil {
		return nil
	}
	h.tunnel = nil
	h.path.Store(nil)
	if h.up != nil {
		h.up(netip.Addr{})
	}
	return t.Close(stop, t.wg.Wait)
}
