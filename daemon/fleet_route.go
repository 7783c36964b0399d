package daemon

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/fleet/reach"
	"github.com/moongate-vpn/moongate/daemon/fleet/relay"
	vpnserver "github.com/moongate-vpn/moongate/daemon/server"
)

// openRoute begins with what fleet-route asks for and needs rights that the process gives up later.
func (f *fleetPart) openRoute(o *config.Options) (err error) {
	r := o.Fleet.Route
	switch {
	case !r.Set():
		return nil
	case o.DevType == config.DevTap:
		return errors.New("fleet-route is for clients of dev tun: those of dev tap are hosts of the network that the device is bridged to")
	case !r.ProxyARP:
		return nil
	}
	if f.neighbours, err = reach.OpenNeighbours(r.Devices, o.IfconfigPool.Start, f.p.lg.Msg); err != nil {
		return fmt.Errorf("fleet-route proxy-arp: %w", err)
	}
	return nil
}

// lasting goes on when a server ends: the server has taken all clients out by then.
type lasting struct{ *reach.Neighbours }

// Close implements vpnserver.Reach.
func (lasting) Close() {}

// reach is Reach of a server's dependencies, nil where there is nothing to do.
func (f *fleetPart) reach() func(dev string) ([]vpnserver.Reach, error) {
	if f == nil {
		return nil
	}
	return func(dev string) (list []vpnserver.Reach, err error) {
		if f.neighbours != nil {
			list = append(list, lasting{f.neighbours})
		}
		if f.p.opts.Fleet.Route.Kernel {
			k, err := reach.OpenKernel(dev, f.p.lg.Msg)
			if err != nil {
				return nil, fmt.Errorf("fleet-route kernel: %w", err)
			}
			list = append(list, k)
		}
		return list, nil
	}
}

// openRelay is Relay of a server's dependencies, nil without one.
func (f *fleetPart) openRelay() func(relay.Host) (vpnserver.Relay, error) {
	if f == nil || !f.p.opts.Fleet.Route.Relay {
		return nil
	}
	return func(h relay.Host) (vpnserver.Relay, error) {
		host, port, err := net.SplitHostPort(f.node.Folder().ListenTalk())
		if err != nil {
			return nil, err
		}
		addr, _ := netip.ParseAddr(host) // of a name all are listened at
		number, err := net.LookupPort("udp", port)
		if err != nil {
			return nil, err
		}
		r, err := relay.Open(relay.Config{
			Name: f.node.Name(), Listen: netip.AddrPortFrom(addr, uint16(number)), Others: f.node.Others, Dial: f.node.DialRelay, Host: h, Log: f.p.lg.Msg,
		})
		if err != nil {
			return nil, fmt.Errorf("fleet-route relay: %w", err)
		}
		f.relay.Store(r)
		return r, nil
	}
}

// acceptRelay hands a connection of another node to the relay that is open.
func (f *fleetPart) acceptRelay(conn net.Conn, state *tls.ConnectionState, peer string) {
	if r := f.relay.Load(); r != nil {
		r.Accept(conn, state, peer)
	}
}
