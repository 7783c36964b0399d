// Package tunnel brings a tunnel device up and down as the options say: addresses, routes and the scripts on the way, in
// stock's order, and everything undone at the end.
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/tun"
	"github.com/moongate-vpn/moongate/mgmt"
)

// network holds the options about the tunnel device and its surroundings, pulled ones included.
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
	dns       resolvers
}

// Config configures a tunnel. All fields but Server, Notes and UpDown are needed.
type Config struct {
	Options *config.Options
	Profile *config.Connection
	// Server is the outer address of the server, for helper routes; invalid on a server.
	Server netip.Addr
	Net    netconf.Net
	Notes  *netconf.Notes // of routes that would outlive a killed process
	Env    *hooks.Env
	Hooks  *hooks.Runner
	// Signals may cut short what hangs on the way down.
	Signals *engine.Signals
	Log     logging.Func
	State   func(mgmt.State)
	UpDown  func(up bool, env []string)
	// ResolverHost is the host whose resolvers change, nil for this one.
	ResolverHost *netconf.ResolverHost
}

// Tunnel is a device with its addresses and routes. Its methods are called one at a time.
type Tunnel struct {
	cfg          Config
	ctx          context.Context // of name lookups while planning
	net          network
	device       tun.Device
	journal      *netconf.Journal
	wantsRoutes6 bool
	upRan        bool
	dnsRan       bool
	routed       bool
	ran          string // the type of the last script, which the port is told like any other variable
	world
}

// world is how this host reached others before the tunnel changed it.
type world struct {
	gw4, gw6       netconf.Gateway
	asked4, asked6 bool
	noIPv6         bool // the device can have no IPv6 address
}

// Device is the open device, nil before Open.
func (t *Tunnel) Device() tun.Device { return t.device }

// Addresses are our own in the tunnel; either may be invalid.
func (t *Tunnel) Addresses() (v4, v6 netip.Addr) { return t.net.local4, t.net.local6 }

// Bypasses reports whether routes were changed that lead around the tunnel, over gateways this host had before it.
func (t *Tunnel) Bypasses() bool {
	return t.journal.HasRoute(func(r netconf.Route) bool {
		return r.Via.IsValid() && (r.Via == t.gw4.Addr || r.Via == t.gw6.Addr) || r.Dev != "" && (r.Dev == t.gw4.Dev || r.Dev == t.gw6.Dev)
	})
}

// gateways looks up how this host reaches the world, once, before the tunnel changes it.
func (t *Tunnel) gateways() {
	o := t.cfg.Options
	if len(o.Routes) == 0 && len(o.RoutesIPv6) == 0 && !t.net.redirect.Enabled {
		return
	}
	if !t.asked4 {
		var err error
		if t.gw4, err = t.journal.DefaultGateway(netip.IPv4Unspecified()); err != nil && !errors.Is(err, netconf.ErrNoGateway) {
			t.cfg.Log(logging.Warn, "route lookup: %v", err)
		}
		t.asked4 = true
	}
	if !t.asked6 && (t.wantsRoutes6 || t.net.redirect.IPv6) {
		towards := netip.IPv6Unspecified()
		if t.net.server.Is6() {
			towards = t.net.server
		}
		t.gw6, _ = t.journal.DefaultGateway(towards)
		t.asked6 = true
	}
}

// Open opens the device, gives it its addresses and runs the up script; context is "init" or "restart". What was done so far is undone by Close, also
// after an error.
func (t *Tunnel) Open(ctx context.Context, script string) error {
	dev, err := tun.Open(t.net.device)
	if err != nil {
		return fmt.Errorf("%w", err)
	}
	t.device = dev
	if t.net.device.Type != tun.Null {
		t.cfg.Log(logging.Info, "TUN/TAP device %s opened", dev.Name())
		if t.cfg.Options.Compat.LogsDeviceTwice() {
			t.cfg.Log(logging.Info, "tun/tap device [%s] opened", dev.Name())
		}
	}
	t.exportVars(script)
	if !t.net.noExec {
		t.cfg.State(mgmt.State{Name: mgmt.StateAssignIP, TunIPv4: t.net.local4, TunIPv6: t.net.local6})
	}
	if !t.net.noExec && t.net.device.Type != tun.Null {
		if err := t.configure(); err != nil {
			return err
		}
	}
	t.dnsUp(ctx)
	return t.runUp(ctx, script)
}

// exportVars sets the variables of the device and of the routes.
func (t *Tunnel) exportVars(script string) {
	setVars(t.cfg.Env, t.net.vars)
	setVars(t.cfg.Env, t.net.routeVars)
	setVars(t.cfg.Env, []string{
		"script_context=" + script, fmt.Sprintf("tun_mtu=%d", t.net.mtu), "dev=" + t.device.Name(), fmt.Sprintf("dev_type=%s", t.cfg.Options.DevType),
	})
}

// configure sets MTU and addresses. A hardware address that the device cannot have changes nothing, as with stock: servers push
// them to tun devices too.
func (t *Tunnel) configure() error {
	if len(t.net.lladdr) > 0 {
		name := t.device.Name()
		if err := t.journal.SetMAC(name, t.net.lladdr); err != nil {
			t.cfg.Log(logging.Warn, "WARNING: set MAC address of %s: %v", name, err)
		}
	}
	return t.addAddrs(t.net.addrs)
}

// addAddrs gives the device addresses. For IPv4 and IPv6 alike it is set up first, as stock does it.
func (t *Tunnel) addAddrs(addrs []netconf.Addr) error {
	name := t.device.Name()
	done := map[bool]bool{}
	for _, a := range addrs {
		if six := a.Prefix.Addr().Is6(); !done[six] {
			done[six] = true
			if err := t.journal.SetMTU(name, t.net.mtu); err != nil {
				return fmt.Errorf("set MTU of %s: %w", name, err)
			}
			if err := t.journal.SetUp(name); err != nil {
				return fmt.Errorf("set %s up: %w", name, err)
			}
		}
		err := t.journal.AddAddr(name, a)
		if errors.Is(err, netconf.ErrNoIPv6) {
			return t.withoutIPv6() // the address is the last one
		}
		if err != nil && !errors.Is(err, netconf.ErrExists) {
			return fmt.Errorf("add address to %s: %w", name, err)
		}
	}
	return nil
}

// args are the arguments of up, down and route-pre-down scripts.
func (t *Tunnel) args(context string) []string {
	return []string{t.device.Name(), fmt.Sprint(t.net.mtu), "0", t.net.local, t.net.remote, context}
}

func (t *Tunnel) runUp(ctx context.Context, script string) error {
	err := t.run(ctx, hooks.Call{Tag: "--up/--down", Type: "up", Event: plugin.Up, Command: t.net.up, Args: t.args(script)})
	t.upRan = err == nil // what did not come up does not go down, as with stock
	return err
}

// run tells plugins of an event, then runs its script.
func (t *Tunnel) run(ctx context.Context, c hooks.Call) error {
	c.Env, c.Log = t.cfg.Env, t.cfg.Log
	if err := t.cfg.Hooks.TellPlugins(ctx, c); err != nil {
		return err
	}
	if c.Command == "" {
		return nil
	}
	if c.Event != plugin.RouteUp {
		t.cfg.Log(logging.Info, "%s", c.Line())
	}
	t.ran = c.Type
	return t.cfg.Hooks.Run(ctx, c)
}

// RoutesUp adds the routes and runs route-up. A route that cannot be added is logged and passed over; the result is
// false then.
func (t *Tunnel) RoutesUp(ctx context.Context) bool {
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
	t.runRouteUp(ctx)
	t.tell(true)
	return ok
}

// tell tells the management port that the tunnel is up, or about to go.
func (t *Tunnel) tell(up bool) {
	if t.net.upDown && t.routed {
		env := t.cfg.Env
		if t.ran != "" {
			env = env.With("script_type=" + t.ran)
		}
		t.cfg.UpDown(up, env.Newest())
	}
}

func (t *Tunnel) runRouteUp(ctx context.Context) {
	if !t.net.noRoutes {
		redirected := "0"
		if r := t.net.redirect; r.Enabled && !r.NoIPv4 {
			redirected = "1"
		}
		t.cfg.Env.Set("redirect_gateway", redirected)
	}
	if err := t.run(ctx, hooks.Call{Tag: "--route-up", Type: "route-up", Event: plugin.RouteUp, Command: t.net.routeUp}); err != nil {
		t.cfg.Log(logging.Warn, "%v", err)
	}
}

func (t *Tunnel) addRoutes() bool {
	t.journal.Apply(t.redirectOps())
	if len(t.net.routes) > 0 {
		t.cfg.State(mgmt.State{Name: mgmt.StateAddRoutes})
	}
	ok := true
	add := func(ops []netconf.Op) {
		for _, op := range ops {
			if err := t.journal.AddRoute(op.Route); err != nil && !errors.Is(err, netconf.ErrExists) {
				ok = false
			}
		}
	}
	add(t.routeOps(t.net.routes))
	t.doubtIPv6()
	add(t.routeOps(t.net.routes6))
	return ok
}

// doubtIPv6 warns of IPv6 routes into a device without an IPv6 address.
func (t *Tunnel) doubtIPv6() {
	if len(t.net.routes6)+len(t.net.redirect.IPv6Routes()) > 0 && !t.cfg.Options.IfconfigIPv6.Set() {
		t.cfg.Log(logging.Warn, "WARNING: OpenVPN was configured to add an IPv6 route. However, no IPv6 has been configured for %s, therefore the route installation may fail or may not work as expected.", t.device.Name())
	}
}

// redirectOps are the steps of redirect-gateway, and what keeps the server reachable.
func (t *Tunnel) redirectOps() []netconf.Op {
	if !t.net.redirect.Enabled && len(t.net.routes6) == 0 {
		return nil
	}
	covered := make([]netip.Prefix, 0, len(t.net.routes6))
	for _, r := range t.net.routes6 {
		covered = append(covered, r.Dst)
	}
	return netconf.PlanRedirect(netconf.RedirectInput{
		VPN6:  t.cfg.Options.IfconfigIPv6.Remote,
		Flags: t.net.redirect, Server: t.net.server, Gateway4: t.gw4, Gateway6: t.gw6, VPN4: t.net.vpn4,
		Dev: t.device.Name(), ServerOnLink: t.onLink(), Routes6: covered, Metric6: t.metric(-1),
	})
}

// routeOps are routes of the options.
func (t *Tunnel) routeOps(routes []netconf.Route) []netconf.Op {
	var ops []netconf.Op
	for _, r := range routes {
		if r.Dst.Addr().Is6() && r.Dev == "" {
			r.Dev = t.device.Name()
		}
		ops = append(ops, netconf.Op{List: true, Route: r})
	}
	return ops
}

// onLink reports whether the server is in a network of this host.
func (t *Tunnel) onLink() bool {
	if !t.net.redirect.AutoLocal || !t.net.server.IsValid() {
		return false
	}
	gw, err := t.journal.DefaultGateway(t.net.server)
	local := err == nil && gw.OnLink
	not := "NOT "
	if local {
		not = ""
	}
	t.cfg.Log(logging.Steps, "ROUTE remote_host is %sLOCAL", not)
	return local
}

// Lost is called when the connection went and the device is kept. The resolvers behind the tunnel cannot be reached then; with up-restart the
// down script runs.
func (t *Tunnel) Lost() (err error) {
	t.down(t.dnsDown)
	if t.cfg.Options.UpRestart {
		t.down(func(ctx context.Context) { err = t.runDown(ctx, "restart") })
	}
	return err
}

// Quiet reports whether Back has nothing to do.
func (t *Tunnel) Quiet() bool { return !t.cfg.Options.UpRestart && len(t.net.dns.servers) == 0 }

// Back is called when the connection is back.
func (t *Tunnel) Back(ctx context.Context) error {
	t.dnsUp(ctx)
	if !t.cfg.Options.UpRestart {
		return nil
	}
	t.cfg.Env.Set("script_context", "restart")
	return t.runUp(ctx, "restart")
}

// down runs one step of the way down: its deadline ends it, or a further signal to end the daemon.
func (t *Tunnel) down(step func(ctx context.Context)) {
	ctx, cancel := t.cfg.Signals.Insisted(context.Background(), time.Duration(hooks.OfEnd))
	defer cancel()
	step(ctx)
}

// Close undoes everything in stock's order and runs the scripts of the way down. drained is called once the device is
// closed, to wait for its readers. An error comes from the down script, which is fatal.
func (t *Tunnel) Close(why engine.Stop, drained func()) error {
	if t.device == nil {
		return nil
	}
	t.tell(false)
	t.cfg.Env.Set("signal", why.Env())
	t.down(t.dnsDown)
	t.down(func(ctx context.Context) { t.runRouteDown(ctx, "init") })
	t.journal.UndoRoutes()
	var err error
	runDown := func(ctx context.Context) { err = t.runDown(ctx, "init") }
	if t.net.downPre {
		t.down(runDown)
	}
	if t.net.device.Type != tun.Null {
		t.cfg.Log(logging.Summary, "Closing %s interface", t.cfg.Options.Compat.DeviceInLog())
	}
	t.journal.UndoAddrs()
	t.device.Close()
	drained()
	if !t.net.downPre {
		t.down(runDown)
	}
	t.cfg.Env.Unset("signal") // for scripts only
	unsetVars(t.cfg.Env, t.net.routeVars)
	return err
}

func (t *Tunnel) runRouteDown(ctx context.Context, script string) {
	if !t.routed {
		return
	}
	call := hooks.Call{Tag: "--route-pre-down", Type: "route-pre-down", Event: plugin.RoutePreDown, Command: t.net.routeDown, Args: t.args(script)}
	if err := t.run(ctx, call); err != nil {
		t.cfg.Log(logging.Warn, "%v", err)
	}
}

func (t *Tunnel) runDown(ctx context.Context, script string) error {
	if !t.upRan {
		return nil
	}
	return t.run(ctx, hooks.Call{Tag: "--up/--down", Type: "down", Event: plugin.Down, Command: t.net.down, Args: t.args(script)})
}

// setVars sets "name=value" pairs.
func setVars(env *hooks.Env, pairs []string) {
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		env.Set(name, value)
	}
}

func unsetVars(env *hooks.Env, pairs []string) {
	for _, p := range pairs {
		name, _, _ := strings.Cut(p, "=")
		env.Unset(name)
	}
}
