package server

import (
	"bytes"
	"context"
	"os"
	"sync"
	"sync/atomic"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/tun"
	"github.com/moongate-vpn/moongate/daemon/tunnel"
)

// carried outlives an instance of the server on SIGUSR1. Run owns it.
type carried struct {
	of     *config.Options // what set was made of
	set    *setup          // persist-key
	tunnel *openTunnel     // persist-tun
	pool   poolFile
}

// openTunnel is a device with its addresses and routes.
type openTunnel struct {
	*tunnel.Tunnel
	planes  sync.WaitGroup // data plane goroutines, which end with the device
	reading reading
	view    *view // of the instance that uses a kept device, nil without persist-tun
}

// applied is a reload: the options as they were given, and what became of them.
type applied struct {
	options *config.Options
	set     *setup
}

// material is the configuration with what its files hold: those of the instance before, under persist-key.
func (s *Server) material() (*setup, error) {
	o := s.opts.Load()
	if s.carried.set != nil && s.carried.of == o {
		return s.carried.set, nil
	}
	if a := s.applied.Load(); a != nil && a.options == o && o.PersistKey {
		return a.set, nil
	}
	set, err := load(s.kept.Hold(o), s.deps.Passphrase)
	if err != nil {
		return nil, err
	}
	if o.PersistKey {
		s.carried.of, s.carried.set = o, set
	}
	return set, nil
}

// bringUp opens the tunnel, or takes the one of the instance before.
func (s *Server) bringUp(ctx context.Context, set *setup) (*openTunnel, error) {
	if t := s.carried.tunnel; t != nil {
		s.carried.tunnel = nil
		s.logLine("", logging.Info, "Preserving previous TUN/TAP instance: %s", t.Tunnel.Device().Name())
		t.view = &view{Device: t.Tunnel.Device(), reading: &t.reading}
		return t, t.Back(ctx)
	}
	tn, err := tunnel.Plan(ctx, tunnel.Config{
		Options: set.Options, Profile: set.prof, Net: s.deps.Net, Notes: s.deps.Notes, Env: s.deps.Env, Hooks: s.scripts, Signals: s.deps.Signals,
		Log: s.deps.Log.Msg, State: s.port.State, UpDown: s.port.UpDown,
	})
	if err != nil {
		return nil, err
	}
	t := &openTunnel{Tunnel: tn}
	if err := tn.Open(ctx, "init"); err != nil {
		return t, err
	}
	tn.RoutesUp(ctx)
	if set.PersistTun {
		t.view = &view{Device: tn.Device(), reading: &t.reading}
	}
	return t, nil
}

// Device is the device as the instance may use it.
func (t *openTunnel) Device() tun.Device {
	if t.view != nil {
		return t.view
	}
	return t.Tunnel.Device()
}

// takeDown ends an instance's use of the tunnel: it is closed, or kept for the next instance.
func (s *Server) takeDown(t *openTunnel, why engine.Stop) error {
	if t == nil {
		return nil
	}
	if t.view != nil && why.Signal == engine.USR1 && why.Err == nil {
		t.view.ended.Store(true)
		s.carried.tunnel = t
		return t.Lost()
	}
	return t.Close(why, t.planes.Wait)
}

// drop gives up what is kept, at the end of the server.
func (s *Server) drop(why engine.Stop) error {
	s.carried.pool.close()
	t := s.carried.tunnel
	s.carried = carried{}
	if t == nil {
		return nil
	}
	return t.Close(why, t.planes.Wait)
}

// reading passes a device that is kept from reader to reader.
type reading struct {
	sync.Mutex          // held by the reader
	left       [][]byte // packets that came to a reader whose instance had ended
}

// view is a device that outlives the instance it is for. A reader of an instance that has ended learns it with the next
// packets, which it leaves for its successor.
type view struct {
	tun.Device
	reading *reading
	ended   atomic.Bool
}

// Read implements tun.Device.
func (v *view) Read(bufs [][]byte, sizes []int, offset int) (int, error) {
	v.reading.Lock()
	defer v.reading.Unlock()
	if v.ended.Load() {
		return 0, os.ErrClosed
	}
	if n := min(len(v.reading.left), len(bufs)); n > 0 {
		for i, p := range v.reading.left[:n] {
			sizes[i] = copy(bufs[i][offset:], p)
		}
		v.reading.left = v.reading.left[n:]
		return n, nil
	}
	n, err := v.Device.Read(bufs, sizes, offset)
	if v.ended.Load() {
		for i := range n {
			v.reading.left = append(v.reading.left, bytes.Clone(bufs[i][offset:offset+sizes[i]]))
		}
		return 0, os.ErrClosed
	}
	return n, err
}
