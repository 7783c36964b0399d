package netconf_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/tun"
)

// A scenario is set up twice, by the stock daemon and by this package.
type scenario struct {
	name    string
	stock   []string // options besides device and transport
	remote  string   // of the server, default 10.50.0.1
	tap     bool
	mtu     int
	txq     int
	addrs   []netconf.Addr
	routes  []netconf.Route
	routes6 []netconf.Route
	flags   *netconf.Redirect
	vpn4    string
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

var (
	subnet4 = netconf.Addr{Prefix: prefix("10.8.0.2/24")}
	subnet6 = netconf.Addr{Prefix: prefix("fd00:8::1000/64")}
	subnet  = []string{"--topology", "subnet", "--ifconfig", "10.8.0.2", "255.255.255.0", "--ifconfig-ipv6", "fd00:8::1000/64", "fd00:8::1"}
)

func via6(dst string) netconf.Route {
	return netconf.Route{Dst: prefix(dst), Dev: "tun0", Metric: netconf.NoMetric, Shown: netip.MustParseAddr("fd00:8::1")}
}

func metric(r netconf.Route, n int) netconf.Route { r.Metric = n; return r }

func redirect(flags string, r netconf.Redirect) scenario {
	r.Enabled = true
	return scenario{
		name:  "redirect-gateway " + flags,
		stock: append(append(slices.Clone(subnet), "--route-gateway", "10.8.0.1", "--redirect-gateway"), strings.Fields(flags)...),
		addrs: []netconf.Addr{subnet4, subnet6}, flags: &r, vpn4: "10.8.0.1",
	}
}

func at(remote string, s scenario) scenario {
	s.name += " to " + remote
	s.remote = remote
	return s
}

var scenarios = []scenario{
	{
		name: "subnet with routes",
		stock: append(slices.Clone(subnet), "--route", "172.16.0.0", "255.240.0.0", "10.8.0.1", "--route", "10.20.30.40", "255.255.255.0", "10.8.0.1",
			"--route", "10.99.0.0", "255.255.255.0", "10.8.0.1", "--route", "1.1.1.1", "255.255.255.255", "10.99.0.1",
			"--route", "2.2.2.2", "255.255.255.255", "10.8.0.1", "7", "--route", "172.16.0.0", "255.240.0.0", "10.8.0.1",
			"--route-ipv6", "fd01::5/64", "--route-ipv6", "fd01::/64"),
		addrs: []netconf.Addr{subnet4, subnet6},
		routes: []netconf.Route{
			route("172.16.0.0/12", "10.8.0.1"), route("10.20.30.40/24", "10.8.0.1"), route("10.99.0.0/24", "10.8.0.1"),
			route("1.1.1.1/32", "10.99.0.1"), metric(route("2.2.2.2/32", "10.8.0.1"), 7), route("172.16.0.0/12", "10.8.0.1"),
		},
		routes6: []netconf.Route{via6("fd01::5/64"), via6("fd01::/64")},
	},
	{
		name:  "net30",
		stock: []string{"--topology", "net30", "--ifconfig", "10.8.0.6", "10.8.0.5", "--route", "172.16.0.0", "255.240.0.0", "--tun-mtu", "1400", "--txqueuelen", "333"},
		mtu:   1400, txq: 333,
		addrs:  []netconf.Addr{{Prefix: prefix("10.8.0.6/32"), Peer: netip.MustParseAddr("10.8.0.5")}},
		routes: []netconf.Route{route("172.16.0.0/12", "10.8.0.5")},
	},
	{
		name: "p2p", stock: []string{"--topology", "p2p", "--ifconfig", "10.8.0.6", "192.168.3.4"},
		addrs: []netconf.Addr{{Prefix: prefix("10.8.0.6/32"), Peer: netip.MustParseAddr("192.168.3.4")}},
	},
	{name: "tap", tap: true, stock: []string{"--ifconfig", "10.8.0.2", "255.255.255.0"}, addrs: []netconf.Addr{subnet4}},
	redirect("def1", netconf.Redirect{Def1: true}),
	at("10.99.0.1", redirect("def1", netconf.Redirect{Def1: true})),
	redirect("", netconf.Redirect{}),
	redirect("def1 block-local", netconf.Redirect{Def1: true, BlockLocal: true}),
	redirect("block-local ipv6", netconf.Redirect{BlockLocal: true, IPv6: true}),
	at("10.99.0.1", redirect("def1 block-local autolocal", netconf.Redirect{Def1: true, BlockLocal: true, AutoLocal: true})),
	at("10.99.0.7", redirect("def1 block-local", netconf.Redirect{Def1: true, BlockLocal: true})),
	at("fd50::1", redirect("def1 ipv6", netconf.Redirect{Def1: true, IPv6: true})),
	at("fd99::1", redirect("def1 ipv6 !ipv4", netconf.Redirect{Def1: true, IPv6: true, NoIPv4: true})),
}

// The device, the route tables and the log's interface lines look the same as with the stock daemon, while up and after.
func TestAgainstStock(t *testing.T) {
	daemontest.RequireRoot(t)
	daemontest.RequireOpenVPN(t)
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if s.remote == "" {
				s.remote = "10.50.0.1"
			}
			theirs, ours := s.runStock(t), s.runOurs(t)
			if diff := cmp.Diff(theirs, ours); diff != "" {
				t.Errorf("(-stock +ours):\n%s", diff)
			}
		})
	}
}

// view is what both sides are compared by.
type view struct {
	Device, Routes, Routes6 string
	After, After6           string
	Log                     []string
}

func arena(t *testing.T, s scenario) (client, server *daemontest.Namespace) {
	server, client = daemontest.NewPair(t)
	for _, a := range []string{"10.50.0.1/32", "fd50::1/128", "10.99.0.7/24"} {
		server.Run(t, "ip", "addr", "add", a, "dev", "lo")
	}
	client.Run(t, "ip", "route", "add", "default", "via", "10.99.0.1")
	client.Run(t, "ip", "-6", "route", "add", "default", "via", "fd99::1")
	return client, server
}

var linkLocal = regexp.MustCompile(`(?m)^.*fe80:.*\n(       valid_lft.*\n)?|^    link/ether.*\n| tentative`)

func look(t *testing.T, n *daemontest.Namespace, s scenario) (device, routes, routes6 string) {
	dev := "tun0"
	if s.tap {
		dev = "tap0"
	}
	device = n.Run(t, "ip", "addr", "show", "dev", dev)
	device = device[strings.Index(device, ": ")+2:] // without the interface number
	clean := func(s string) string { return linkLocal.ReplaceAllString(s, "") }
	return clean(device), n.Run(t, "ip", "route"), clean(n.Run(t, "ip", "-6", "route"))
}

var (
	logTime = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d `)
	hwaddr  = regexp.MustCompile(`HWADDR=.*`)
	ourLine = regexp.MustCompile(`^(net_(route|addr|iface)|add_route_ipv6|delete_route_ipv6|ROUTE|GDG6|NOTE: Linux|ERROR: Linux|sitnl|TUN/TAP TX)`)
)

// interfaceLines keeps what this package logs. Lines that tell about the outside come sorted, at the end: stock writes some
// of them when it makes its plans, and we when we carry them out.
func interfaceLines(lines []string) []string {
	var steps, looks []string
	for _, l := range lines {
		l = hwaddr.ReplaceAllString(logTime.ReplaceAllString(l, ""), "HWADDR")
		switch {
		case !ourLine.MatchString(l):
		case strings.HasPrefix(l, "ROUTE"), strings.HasPrefix(l, "GDG6"), strings.Contains(l, "_best_gw"):
			looks = append(looks, l)
		default:
			steps = append(steps, l)
		}
	}
	slices.Sort(looks)
	return append(steps, looks...)
}

func (s scenario) runStock(t *testing.T) view {
	client, server := arena(t, s)
	proto, peer := "udp4", "10.99.0.2"
	if strings.Contains(s.remote, ":") {
		proto, peer = "udp6", "fd99::2"
	}
	kind := "tun"
	if s.tap {
		kind = "tap"
	}
	common := []string{"--proto", proto, "--cipher", "none", "--auth", "none", "--ping", "1", "--verb", "3"}
	// The client adds routes when it hears from the other side, whose own device does not matter.
	server.Start(t, daemontest.RequireOpenVPN(t), append([]string{"--dev", "null", "--dev-type", kind, "--float", "--multihome", "--remote", peer}, common...)...)
	p := client.Start(t, daemontest.RequireOpenVPN(t), append(append([]string{"--dev", kind, "--remote", s.remote}, common...), s.stock...)...)
	p.WaitLine(t, "Initialization Sequence Completed", 20*time.Second)
	var v view
	v.Device, v.Routes, v.Routes6 = look(t, client, s)
	p.Stop(t)
	v.After, v.After6 = client.Run(t, "ip", "route"), linkLocal.ReplaceAllString(client.Run(t, "ip", "-6", "route"), "")
	v.Log = interfaceLines(strings.Split(p.Log(), "\n"))
	return v
}

func (s scenario) runOurs(t *testing.T) view {
	client, _ := arena(t, s)
	var lines []string
	logf := func(lv logging.Level, format string, args ...any) {
		if lv.Verb() <= 3 {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	var sys *netconf.System
	var dev tun.Device
	var v view
	client.Do(t, func() (err error) {
		if sys, err = netconf.New(logf); err != nil {
			return err
		}
		j := netconf.NewJournal(sys, nil, logf)
		server := netip.MustParseAddr(s.remote)
		var gw4, gw6 netconf.Gateway
		if len(s.routes) > 0 || s.flags != nil { // stock looks only when it is going to add routes
			gw4, _ = j.DefaultGateway(netip.IPv4Unspecified())
		}
		if len(s.routes6) > 0 || s.flags != nil && s.flags.IPv6 {
			towards := netip.IPv6Unspecified()
			if server.Is6() {
				towards = server
			}
			gw6, _ = j.DefaultGateway(towards)
		}
		cfg := tun.Config{Name: "tun"}
		if s.tap {
			cfg = tun.Config{Name: "tap", Type: tun.TAP}
		}
		if dev, err = tun.Open(cfg); err != nil {
			return err
		}
		if s.txq > 0 {
			if err := j.SetTxQueueLen(dev.Name(), s.txq); err != nil {
				return err
			}
		}
		mtu := 1500
		if s.mtu > 0 {
			mtu = s.mtu
		}
		for _, a := range s.addrs {
			if err := errors.Join(j.SetMTU(dev.Name(), mtu), j.SetUp(dev.Name()), j.AddAddr(dev.Name(), a)); err != nil {
				return err
			}
		}
		if s.flags != nil {
			onLink := false
			if s.flags.AutoLocal {
				g, err := j.DefaultGateway(server)
				if onLink = err == nil && g.OnLink; onLink {
					logf(logging.Steps, "ROUTE remote_host is LOCAL")
				}
			}
			j.Apply(netconf.PlanRedirect(netconf.RedirectInput{
				Flags: *s.flags, Server: server, Gateway4: gw4, Gateway6: gw6, VPN4: netip.MustParseAddr(s.vpn4),
				VPN6: netip.MustParseAddr("fd00:8::1"), Dev: dev.Name(), ServerOnLink: onLink,
			}))
		}
		for _, r := range append(slices.Clone(s.routes), s.routes6...) {
			_ = j.AddRoute(r) // some are meant to fail
		}
		v.Device, v.Routes, v.Routes6 = look(t, client, s)
		j.UndoRoutes()
		j.UndoAddrs()
		sys.Close()
		return dev.Close()
	})
	v.After, v.After6 = client.Run(t, "ip", "route"), linkLocal.ReplaceAllString(client.Run(t, "ip", "-6", "route"), "")
	v.Log = interfaceLines(lines)
	return v
}

// A process that is killed leaves the route table changed; the next one repairs it, metric of the default route included.
func TestRecoverAfterKill(t *testing.T) {
	if dir := os.Getenv("NETCONF_TEST_VICTIM"); dir != "" {
		victim(t, dir)
	}
	_, ns := daemontest.NewPair(t)
	ns.Run(t, "ip", "route", "add", "default", "via", "10.99.0.1", "metric", "50")
	before := ns.Run(t, "ip", "route")
	dir := t.TempDir()
	p := ns.Start(t, "env", "NETCONF_TEST_VICTIM="+dir, os.Args[0], "-test.run", "^TestRecoverAfterKill$")
	p.WaitLine(t, "ready", 10*time.Second)
	during := ns.Run(t, "ip", "route")
	if !strings.Contains(during, "default via 10.99.0.9") || !strings.Contains(during, "10.50.0.1 via 10.99.0.1") {
		t.Fatalf("the victim did nothing:\n%s", during)
	}
	p.Signal(t, syscall.SIGKILL)
	p.Wait(t, 5*time.Second)
	if got := ns.Run(t, "ip", "route"); got != during {
		t.Fatalf("changed by the kill alone:\n%s", got)
	}
	ns.Do(t, func() error {
		sys, err := netconf.New(nil)
		if err != nil {
			return err
		}
		defer sys.Close()
		netconf.Recover(sys, dir, nil)
		return nil
	})
	if diff := cmp.Diff(before, ns.Run(t, "ip", "route")); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

// victim replaces the default route and waits for its end.
func victim(t *testing.T, dir string) {
	sys, err := netconf.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	notes, err := netconf.OpenNotes(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	j := netconf.NewJournal(sys, notes, nil)
	gw, err := j.DefaultGateway(netip.IPv4Unspecified())
	if err != nil {
		t.Fatal(err)
	}
	j.Apply(netconf.PlanRedirect(netconf.RedirectInput{
		Flags: netconf.Redirect{Enabled: true}, Server: netip.MustParseAddr("10.50.0.1"), Gateway4: gw, VPN4: netip.MustParseAddr("10.99.0.9"),
	}))
	fmt.Println("ready")
	time.Sleep(time.Minute)
}

func TestSystemErrors(t *testing.T) {
	ns := daemontest.NewNamespace(t)
	var lines []string
	ns.Do(t, func() error {
		sys, err := netconf.New(func(_ logging.Level, format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) })
		if err != nil {
			return err
		}
		defer sys.Close()
		if _, err := sys.DefaultGateway(netip.IPv4Unspecified()); !errors.Is(err, netconf.ErrNoGateway) {
			t.Errorf("IPv4 gateway: %v", err)
		}
		if _, err := sys.DefaultGateway(netip.MustParseAddr("9.9.9.9")); !errors.Is(err, netconf.ErrNoGateway) {
			t.Errorf("towards 9.9.9.9: %v", err)
		}
		if _, err := sys.DefaultGateway(netip.MustParseAddr("2001:db8::1")); !errors.Is(err, netconf.ErrNoGateway) {
			t.Errorf("towards 2001:db8::1: %v", err)
		}
		if err := sys.SetUp("tun9"); err == nil {
			t.Error("up of a missing device")
		}
		if err := sys.AddRoute(route("10.0.0.0/8", "10.1.1.1")); err == nil || errors.Is(err, netconf.ErrExists) {
			t.Errorf("route through nowhere: %v", err)
		}
		a := netconf.Addr{Prefix: prefix("10.3.0.5/24")}
		if err := sys.AddAddr("lo", a); err != nil {
			t.Error(err)
		}
		if err := sys.AddAddr("lo", a); !errors.Is(err, netconf.ErrExists) {
			t.Errorf("address twice: %v", err)
		}
		r := netconf.Route{Dst: prefix("10.0.0.0/8"), Dev: "lo", Metric: 3, Table: 77}
		if err := sys.AddRoute(r); err != nil {
			t.Error(err)
		}
		if out := ns.Run(t, "ip", "route", "show", "table", "77"); strings.TrimSpace(out) != "10.0.0.0/8 dev lo scope link metric 3" {
			t.Errorf("table 77: %s", out)
		}
		if err := errors.Join(sys.DelRoute(r), sys.DelAddr("lo", a)); err != nil {
			t.Error(err)
		}
		return nil
	})
	want := []string{
		"net_route_v4_best_gw query: dst 0.0.0.0",
		"ROUTE_GATEWAY 0.0.0.0",
		"GDG6: remote_host_ipv6=2001:db8::1",
		"net_route_v6_best_gw query: dst 2001:db8::1",
		"ROUTE6: default_gateway=UNDEF",
		"net_iface_up: set tun9 up",
		"net_route_v4_add: 10.0.0.0/8 via 10.1.1.1 dev [NULL] table 0 metric -1",
		"sitnl_send: rtnl: generic error (-101): Network is unreachable",
		"ERROR: Linux route add command failed",
		"net_addr_v4_add: 10.3.0.5/24 dev lo",
		"net_addr_v4_add: 10.3.0.5/24 dev lo",
		"sitnl_send: rtnl: generic error (-17): File exists",
		"net_route_v4_add: 10.0.0.0/8 via 0.0.0.0 dev lo table 77 metric 3",
		"net_route_v4_del: 10.0.0.0/8 via 0.0.0.0 dev [NULL] table 77 metric 3",
		"net_addr_v4_del: 10.3.0.5 dev lo",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
