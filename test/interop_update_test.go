//go:build linux

package test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// updateLab is a server of ours that updates a client of ours.
type updateLab struct {
	*lab
	c      *daemontest.Process
	port   *client.Client // of the server
	before string         // network of the client's host
}

const updated = "Push update completed"

func newUpdateLab(t *testing.T, clientArgs ...string) *updateLab {
	t.Helper()
	l := newLab(t)
	l.client.Run(t, "ip", "route", "add", "default", "via", "10.99.0.1")
	before, sock := network(t, l.client), l.file("server.sock")
	l.ourServer(t, "--management", sock, "unix", "--server-ipv6", "fd00:8::/64", "--push", "route 10.1.0.0 255.255.0.0")
	c := ours(t, l.client, l.clientArgs(clientArgs...))
	c.WaitLine(t, up, upLimit)
	return &updateLab{l, c, manage(t, sock), before}
}

// update sends an update to all clients and waits for a line of the client's about it.
func (l *updateLab) update(t *testing.T, options, line string) {
	t.Helper()
	from := l.c.Lines()
	r, err := l.port.Cmd(t.Context(), `push-update-broad "`+options+`"`)
	if err != nil || !strings.Contains(strings.Join(r.Raw, "\n"), "SUCCESS: 1 client(s) updated") {
		t.Fatalf("push-update-broad %s: %q, %v", options, r.Raw, err)
	}
	l.c.WaitLineAfter(t, from, line, upLimit)
}

// tunnelRoutes are the routes into the tunnel but for those of its own subnets, "destination via gateway" or "destination".
func (l *updateLab) tunnelRoutes(t *testing.T) string {
	t.Helper()
	var list []string
	for line := range strings.SplitSeq(l.client.Run(t, "ip", "route", "show", "dev", "tun0")+l.client.Run(t, "ip", "-6", "route", "show", "dev", "tun0"), "\n") {
		route, _, _ := strings.Cut(strings.TrimSpace(line), " proto")
		route, _, _ = strings.Cut(route, " metric 1024")
		if route != "" && route != "10.8.0.0/24" && route != "fd00:8::/64" && !strings.HasPrefix(route, "fe80::") {
			list = append(list, route)
		}
	}
	return strings.Join(list, ", ")
}

// Routes, MTU, resolvers and timers change while packets go through the tunnel, and none of them is lost. In the end the
// host is as it was.
func TestClientTakesUpdates(t *testing.T) {
	t.Parallel()
	l := newUpdateLab(t)
	lost := lostMeanwhile(l.client, "10.8.0.1", 1000, "0.005")
	const first = "10.1.0.0/16 via 10.8.0.1"
	var long, longRoutes []string // as many as fit on the port
	for i := range 7 {
		long = append(long, fmt.Sprintf("route 10.200.%d.0 255.255.255.0", 100+i))
		longRoutes = append(longRoutes, fmt.Sprintf("10.200.%d.0/24 via 10.8.0.1", 100+i))
	}
	for _, tt := range []struct {
		update, routes string
		mtu            int
	}{
		{"route 10.1.0.0 255.255.0.0,route 10.2.0.0 255.255.0.0", first + ", 10.2.0.0/16 via 10.8.0.1", 1500},
		{"route 10.3.0.0 255.255.0.0 vpn_gateway 7", "10.3.0.0/16 via 10.8.0.1 metric 7", 1500},
		{"route-metric 9,route 10.3.0.0 255.255.0.0", "10.3.0.0/16 via 10.8.0.1 metric 9", 1500},
		{"-route,-route-metric", "", 1500},
		{"route-ipv6 fd55::/64,route 10.1.0.0 255.255.0.0", first + ", fd55::/64", 1500},
		{"redirect-gateway def1", "0.0.0.0/1 via 10.8.0.1, " + first + ", 128.0.0.0/1 via 10.8.0.1, fd55::/64", 1500},
		{"redirect-gateway", "default via 10.8.0.1, " + first + ", fd55::/64", 1500},
		{"-redirect-gateway,-route-ipv6", first, 1500},
		{strings.Join(long, ","), strings.Join(longRoutes, ", "), 1500},
		{"route 10.1.0.0 255.255.0.0,tun-mtu 1400,dhcp-option DNS 192.0.2.1,keepalive 1 30,block-ipv6", first, 1400},
		{"-tun-mtu,-dhcp-option,-keepalive,-?dns,block-outside-dns,-block-ipv6", first, 1500},
	} {
		l.update(t, tt.update, updated)
		if diff := cmp.Diff(tt.routes, l.tunnelRoutes(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.update, diff)
		}
		if out := l.client.Run(t, "ip", "link", "show", "tun0"); !strings.Contains(out, fmt.Sprintf(" mtu %d ", tt.mtu)) {
			t.Errorf("%s: want MTU %d:\n%s", tt.update, tt.mtu, out)
		}
	}
	if out := <-lost; out != "" {
		t.Errorf("pings:\n%s", out)
	}
	if n := strings.Count(l.c.Log(), up); n != 1 {
		t.Errorf("%d connections, want one", n)
	}
	l.update(t, "route 10.4.0.0 255.255.0.0,route-ipv6 fd56::/64,redirect-gateway", updated)
	terminate(t, l.c)
	if diff := cmp.Diff(l.before, network(t, l.client)); diff != "" {
		t.Errorf("the host is not as it was (-before +after):\n%s", diff)
	}
}

// What cannot be taken leaves everything as it is, and the connection starts again with what the server pushes then.
func TestClientRefusesUpdates(t *testing.T) {
	t.Parallel()
	l := newUpdateLab(t, "--persist-tun", "--pull-filter", "reject", "dhcp-option", "--pull-filter", "ignore", "route 10.9.")
	const first = "10.1.0.0/16 via 10.8.0.1"
	for _, tt := range []struct{ update, line string }{
		{"route 10.2.0.0 255.255.0.0,dhcp-option DNS 192.0.2.1", "Pushed option rejected by filter: 'dhcp-option DNS 192.0.2.1'. Restarting."},
	} {
		from := l.c.Lines()
		l.update(t, tt.update, tt.line)
		if diff := cmp.Diff(first, l.tunnelRoutes(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.update, diff)
		}
		l.c.WaitLineAfter(t, from, "Preserving previous TUN/TAP instance: tun0", upLimit)
		l.c.WaitLineAfter(t, from, up, upLimit)
	}
	// Wrong values are passed over, and leave what they would have replaced.
	for _, tt := range []struct{ update, line string }{
		{"topology ring,route 300.1.0.0", "Options error: --topology must be net30, p2p, or subnet"},
		{"route no.such.host.invalid", "Options error: route parameter network/IP 'no.such.host.invalid' must be a valid address"},
	} {
		from := l.c.Lines()
		l.update(t, tt.update, tt.line)
		l.c.WaitLineAfter(t, from, "Push update completed", upLimit)
		if diff := cmp.Diff(first, l.tunnelRoutes(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.update, diff)
		}
	}
	l.update(t, "route 10.9.0.0 255.255.0.0", "Pushed option removed by filter: 'route 10.9.0.0 255.255.0.0'")
	if diff := cmp.Diff(first, l.tunnelRoutes(t)); diff != "" {
		t.Errorf("filtered (-want +got):\n%s", diff)
	}
	// Our server sends nothing that cannot be updated, but for words an administrator puts into its mouth.
	from := l.c.Lines()
	do(t, l.port, "client-kill", "1", "PUSH_UPDATE,route 10.2.0.0 255.255.0.0,push-continuation 2")
	do(t, l.port, "client-kill", "1", "PUSH_UPDATE,?cipher none,-auth-token,push-continuation 1")
	l.c.WaitLineAfter(t, from, "Pushed option is not updatable: '-auth-token'.", upLimit)
	l.c.WaitLineAfter(t, from, up, upLimit)
	if diff := cmp.Diff(first, l.tunnelRoutes(t)); diff != "" {
		t.Errorf("unknown (-want +got):\n%s", diff)
	}
	terminate(t, l.c)
}

// A device is kept over a restart when what is in force is what the server pushes again, whichever way it got there.
func TestClientRestartsAfterUpdates(t *testing.T) {
	t.Parallel()
	l := newUpdateLab(t, "--persist-tun")
	restart := func(line string) {
		t.Helper()
		from := l.c.Lines()
		l.c.Signal(t, syscall.SIGUSR1)
		l.c.WaitLineAfter(t, from, line, upLimit)
		l.c.WaitLineAfter(t, from, up, upLimit)
		if diff := cmp.Diff("10.1.0.0/16 via 10.8.0.1", l.tunnelRoutes(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
	l.update(t, "route 10.2.0.0 255.255.0.0", updated)
	l.update(t, "route 10.1.0.0 255.255.0.0,keepalive 5 30", updated)
	restart("Preserving previous TUN/TAP instance: tun0")
	l.update(t, "route 10.2.0.0 255.255.0.0,tun-mtu 1400", updated)
	restart("NOTE: Pulled options changed on restart, will need to close and reopen TUN/TAP device.")
	terminate(t, l.c)
}

// Scripts and the management port see what changes go down and come up again; an address may change, too, and parts of a
// message count when all are there.
func TestClientTellsOfUpdates(t *testing.T) {
	t.Parallel()
	l := newUpdateLab(t, "--script-security", "2")
	terminate(t, l.c)
	record, sock := l.file("record"), l.file("client.sock")
	hook := l.script(t, "hook.sh", `echo "$script_type $* dns=$foreign_option_1 route=$route_network_1,$route_network_2" >>`+record)
	l.c = ours(t, l.client, l.clientArgs("--script-security", "2", "--up", hook, "--down", hook, "--route-up", hook, "--route-pre-down", hook,
		"--management", sock, "unix", "--management-up-down", "--management-hold"))
	m := manage(t, sock)
	sub := m.Subscribe(mgmt.KindState, mgmt.KindUpDown)
	do(t, m, "state", "on")
	do(t, m, "hold", "release")
	l.c.WaitLine(t, up, upLimit)
	l.update(t, "dhcp-option DNS 192.0.2.1", updated)
	l.update(t, "route 10.1.0.0 255.255.0.0,route 10.2.0.0 255.255.0.0", updated)
	from := l.c.Lines()
	do(t, l.port, "client-kill", "1", "PUSH_UPDATE,ifconfig 10.8.0.99 255.255.255.0,push-continuation 2")
	do(t, l.port, "client-kill", "1", "PUSH_UPDATE,-route,push-continuation 1")
	l.c.WaitLineAfter(t, from, updated, upLimit)
	if got := ownTunnelAddress(t, l.client); got != "10.8.0.99" || l.tunnelRoutes(t) != "" {
		t.Errorf("address %s, routes %s", got, l.tunnelRoutes(t))
	}
	terminate(t, l.c)
	want := `up tun0 1500 0 10.8.0.2 255.255.255.0 init dns= route=10.1.0.0,
route-up  dns= route=10.1.0.0,
down tun0 1500 0 10.8.0.2 255.255.255.0 restart dns= route=10.1.0.0,
up tun0 1500 0 10.8.0.2 255.255.255.0 restart dns=dhcp-option DNS 192.0.2.1 route=10.1.0.0,
route-pre-down tun0 1500 0 10.8.0.2 255.255.255.0 restart dns=dhcp-option DNS 192.0.2.1 route=10.1.0.0,
route-up  dns=dhcp-option DNS 192.0.2.1 route=10.1.0.0,10.2.0.0
route-pre-down tun0 1500 0 10.8.0.2 255.255.255.0 restart dns=dhcp-option DNS 192.0.2.1 route=10.1.0.0,10.2.0.0
down tun0 1500 0 10.8.0.2 255.255.255.0 restart dns=dhcp-option DNS 192.0.2.1 route=10.1.0.0,10.2.0.0
up tun0 1500 0 10.8.0.99 255.255.255.0 restart dns=dhcp-option DNS 192.0.2.1 route=,
route-up  dns=dhcp-option DNS 192.0.2.1 route=,
route-pre-down tun0 1500 0 10.8.0.99 255.255.255.0 init dns=dhcp-option DNS 192.0.2.1 route=,
down tun0 1500 0 10.8.0.99 255.255.255.0 init dns=dhcp-option DNS 192.0.2.1 route=,
`
	if got, _ := os.ReadFile(record); string(got) != want {
		t.Errorf("scripts (-want +got):\n%s", cmp.Diff(want, string(got)))
	}
	if diff := cmp.Diff([]string{
		"DOWN", "UP",
		"DOWN", "ADD_ROUTES,,", "UP", "CONNECTED,SUCCESS,10.8.0.2",
		"DOWN", "ASSIGN_IP,,10.8.0.99", "UP", "CONNECTED,SUCCESS,10.8.0.99",
		"DOWN",
	}, toldAfterConnecting(t, sub)); diff != "" {
		t.Errorf("notifications (-want +got):\n%s", diff)
	}
}

// toldAfterConnecting is what a client told between its first CONNECTED and its end, states without time and remote.
func toldAfterConnecting(t *testing.T, sub *client.Subscription) (told []string) {
	t.Helper()
	connected := false
	for {
		n, err := notified(t, sub)
		if err != nil || strings.Contains(n.Text, ",EXITING,") {
			return told
		}
		text := n.Text
		if f := strings.Split(text, ","); n.Kind == mgmt.KindState {
			text = strings.Join(f[1:4], ",")
		}
		if connected {
			told = append(told, text)
		}
		connected = connected || strings.HasPrefix(text, "CONNECTED,")
	}
}
