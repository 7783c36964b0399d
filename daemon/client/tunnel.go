package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/tun"
	"github.com/moongate-vpn/moongate/mgmt"
)

// network is what the options say about the tunnel device and its surroundings, pulled ones included.
type network struct {
	device    tun.Config
	mtu       int
	lladdr    net.HardwareAddr
	noExec    bool // ifconfig-noexec: only export variables
	addrs     []netconf.Addr
	local4    netip.Addr
	local6    netip.Addr
	local     string // script arguments: own address, and the peer's or the netmask
	remote    string
	vpn4      netip.Addr // gateway of routes into the tunnel
	routes    []netconf.Route
	routes6   []netconf.Route
	redirect  netconf.Redirect
	noRoutes  bool // route-noexec
	delay     time.Duration
	server    netip.Addr
	vars      []string // "name=value" of the device
	routeVars []string // of the routes
	up, down  string   // script commands, empty for none
	routeUp   string
	routeDown string
	downPre   bool
	upDown    bool // tell the management port
}

// tunnel is an open device with its addresses and routes. open, routesUp and close are called one at a time.
type tunnel struct {
	c            *Client
	net          network
	device       tun.Device
	journal      *netconf.Journal
	wg           sync.WaitGroup
	upRan        bool
	routed       bool
	digest       string // of the pulled options it was made for
	persist      bool   // keep it over restarts
	wantsRoutes6 bool
	gw4          netconf.Gateway
	gw6          netconf.Gateway
}

// gateways looks up how this host reaches the world, before the tunnel changes it.
func (t *tunnel) gateways() {
	var err error
	if t.gw4, err = t.journal.DefaultGateway(netip.IPv4Unspecified()); err != nil && !errors.Is(err, netconf.ErrNoGateway) {
		t.c.log(1, "W", "route lookup: %v", err)
	}
	if t.wantsRoutes6 || t.net.redirect.IPv6 {
		t.gw6, _ = t.journal.DefaultGateway(netip.IPv6Unspecified())
	}
}

// open opens the device, gives it its addresses and runs the up script. What was done so far is undone by close, also
// after an error.
func (t *tunnel) open(ctx context.Context, script string) error {
	dev, err := tun.Open(t.net.device)
	if err != nil {
		return fmt.Errorf("%w", err)
	}
	t.device = dev
	if t.net.device.Type != tun.Null {
		t.c.log(1, "I", "TUN/TAP device %s opened", dev.Name())
	}
	t.c.env.Set("dev", dev.Name())
	for _, v := range t.net.vars {
		setVar(t.c.env, v)
	}
	t.c.env.Set("script_context", script)
	t.c.state(mgmt.State{Name: mgmt.StateAssignIP, TunIPv4: t.net.local4, TunIPv6: t.net.local6})
	if !t.net.noExec && t.net.device.Type != tun.Null {
		if err := t.configure(); err != nil {
			return err
		}
	}
	for _, v := range t.net.routeVars {
		setVar(t.c.env, v)
	}
	t.read()
	return t.runUp(ctx, script)
}

// configure sets MTU and addresses. For IPv4 and IPv6 alike the device is set up first, as stock does it.
func (t *tunnel) configure() error {
	name := t.device.Name()
	if len(t.net.lladdr) > 0 {
		if err := t.journal.SetMAC(name, t.net.lladdr); err != nil {
			return fmt.Errorf("set MAC address of %s: %w", name, err)
		}
	}
	done := map[bool]bool{}
	for _, a := range t.net.addrs {
		if six := a.Prefix.Addr().Is6(); !done[six] {
			done[six] = true
			if err := t.journal.SetMTU(name, t.net.mtu); err != nil {
				return fmt.Errorf("set MTU of %s: %w", name, err)
			}
			if err := t.journal.SetUp(name); err != nil {
				return fmt.Errorf("set %s up: %w", name, err)
			}
		}
		if err := t.journal.AddAddr(name, a); err != nil && !errors.Is(err, netconf.ErrExists) {
			return fmt.Errorf("add address to %s: %w", name, err)
		}
	}
	return nil
}

// args are what up, down and route-pre-down scripts get.
func (t *tunnel) args(context string) []string {
	return []string{t.device.Name(), fmt.Sprint(t.net.mtu), "0", t.net.local, t.net.remote, context}
}

func (t *tunnel) runUp(ctx context.Context, script string) error {
	t.upRan = true
	if t.net.up == "" {
		return nil
	}
	call := hooks.Call{Tag: "--up/--down", Type: "up", Command: t.net.up, Args: t.args(script), Env: t.c.env}
	t.c.log(1, "", "%s", call.Line())
	return t.c.hooks.Run(ctx, call)
}

// read starts the reader of the device, which lives until the device is closed.
func (t *tunnel) read() {
	o := &outbound{device: t.device, path: &t.c.path, total: &t.c.totals.Out, notice: t.c.linkNotice, failed: t.c.deviceFailed}
	t.wg.Go(o.run)
}

// routesUp adds the routes and runs route-up. A route that cannot be added is logged and passed over; the result is
// false then.
func (t *tunnel) routesUp(ctx context.Context) bool {
	if t.net.delay > 0 {
		select {
		case <-time.After(t.net.delay):
		case <-ctx.Done():
			return true
		}
	}
	t.routed = true
	ok := true
	if !t.net.noRoutes && t.net.device.Type != tun.Null {
		ok = t.addRoutes()
	}
	redirected := "0"
	if t.net.redirect.Enabled {
		redirected = "1"
	}
	t.c.env.Set("redirect_gateway", redirected)
	if t.net.routeUp != "" {
		call := hooks.Call{Tag: "--route-up", Type: "route-up", Command: t.net.routeUp, Env: t.c.env}
		if err := t.c.hooks.Run(ctx, call); err != nil {
			t.c.log(1, "W", "%v", err)
		}
	}
	if t.net.upDown {
		t.c.port.UpDown(true, t.c.env.Newest())
	}
	return ok
}

func (t *tunnel) addRoutes() bool {
	ok := true
	if t.net.redirect.Enabled {
		covered := make([]netip.Prefix, 0, len(t.net.routes6))
		for _, r := range t.net.routes6 {
			covered = append(covered, r.Dst)
		}
		t.journal.Apply(netconf.PlanRedirect(netconf.RedirectInput{
			Flags: t.net.redirect, Server: t.net.server, Gateway4: t.gw4, Gateway6: t.gw6, VPN4: t.net.vpn4,
			Dev: t.device.Name(), ServerOnLink: t.onLink(), Routes6: covered,
		}))
	}
	if len(t.net.routes) > 0 {
		t.c.state(mgmt.State{Name: mgmt.StateAddRoutes})
	}
	for _, r := range t.net.routes {
		if err := t.journal.AddRoute(r); err != nil && !errors.Is(err, netconf.ErrExists) {
			ok = false
		}
	}
	for _, r := range t.net.routes6 {
		if r.Dev == "" {
			r.Dev = t.device.Name()
		}
		if err := t.journal.AddRoute(r); err != nil && !errors.Is(err, netconf.ErrExists) {
			ok = false
		}
	}
	return ok
}

// onLink reports whether the server is in a network of this host.
func (t *tunnel) onLink() bool {
	if !t.net.redirect.AutoLocal || !t.net.server.IsValid() {
		return false
	}
	gw, err := t.journal.DefaultGateway(t.net.server)
	local := err == nil && gw.OnLink
	not := "NOT "
	if local {
		not = ""
	}
	t.c.log(3, "", "ROUTE remote_host is %sLOCAL", not)
	return local
}

// close undoes everything in stock's order and runs the scripts of the way down. An error comes from the down script,
// which is fatal.
func (t *tunnel) close(why engine.Stop) error {
	if t.device == nil {
		return nil
	}
	// What is on its way down is not interrupted by the signal that started it: only deadlines end it.
	ctx := context.Background()
	t.c.env.Set("signal", why.Env())
	if t.routed && t.net.routeDown != "" {
		call := hooks.Call{Tag: "--route-pre-down", Type: "route-pre-down", Command: t.net.routeDown, Args: t.args("init"), Env: t.c.env}
		t.c.log(1, "", "%s", call.Line())
		if err := t.c.hooks.Run(ctx, call); err != nil {
			t.c.log(1, "W", "%v", err)
		}
	}
	t.journal.UndoRoutes()
	var err error
	if t.net.downPre {
		err = t.runDown(ctx)
	}
	if t.net.device.Type != tun.Null {
		t.c.log(2, "", "Closing TUN/TAP interface")
	}
	t.journal.UndoAddrs()
	t.device.Close()
	t.wg.Wait()
	if !t.net.downPre {
		err = errors.Join(err, t.runDown(ctx))
	}
	if t.net.upDown && t.routed {
		t.c.port.UpDown(false, t.c.env.Newest())
	}
	for _, v := range t.net.routeVars {
		t.c.env.Unset(varName(v))
	}
	t.c.env.Unset("signal")
	return err
}

func (t *tunnel) runDown(ctx context.Context) error {
	if t.net.down == "" || !t.upRan {
		return nil
	}
	call := hooks.Call{Tag: "--up/--down", Type: "down", Command: t.net.down, Args: t.args("init"), Env: t.c.env}
	t.c.log(1, "", "%s", call.Line())
	return t.c.hooks.Run(ctx, call)
}

func setVar(env *hooks.Env, pair string) {
	for i := range pair {
		if pair[i] == '=' {
			env.Set(pair[:i], pair[i+1:])
			return
		}
	}
}

func varName(pair string) string {
	for i := range pair {
		if pair[i] == '=' {
			return pair[:i]
		}
	}
	return pair
}
