package tunnel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/netconf"
	"github.com/moongate-vpn/moongate/daemon/netconf/netconftest"
	"github.com/moongate-vpn/moongate/daemon/tun/tuntest"
	"github.com/moongate-vpn/moongate/mgmt"
)

// rig is a tunnel over a device and a system in memory, with what it told others.
type rig struct {
	*Tunnel
	base   *config.Options
	system netconftest.Fake
	env    *hooks.Env
	told   []string
	pushed []string
}

var server = netip.MustParseAddr("10.50.0.1")

// newRig opens a tunnel with pushed options.
func newRig(t *testing.T, pushed string) *rig {
	t.Helper()
	r := &rig{env: hooks.NewEnv(), pushed: strings.Split(pushed, ",")}
	var err error
	r.base, err = config.Parse([]string{
		"--client", "--dev", "tun", "--remote", "a", "--ca", "x", "--auth-user-pass", "--management-up-down",
		"--management", "x", "unix",
	}, config.Env{SkipFiles: true})
	if err != nil {
		t.Fatal(err)
	}
	r.system.Gateway4 = netconf.Gateway{Addr: netip.MustParseAddr("10.99.0.1"), Dev: "eth0", Metric: netconf.NoMetric}
	o := r.base.Clone()
	if _, err := o.ApplyPushed(&o.Connections[0], r.pushed); err != nil {
		t.Fatal(err)
	}
	r.Tunnel, err = Plan(t.Context(), Config{
		Signals: engine.NewSignals(),
		Options: o, Profile: &o.Connections[0], Server: server, Net: &r.system, Env: r.env, Log: func(logging.Level, string, ...any) {},
		State:  func(s mgmt.State) { r.told = append(r.told, s.Name) },
		UpDown: func(up bool, _ []string) { r.told = append(r.told, fmt.Sprintf("up=%v", up)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.device = tuntest.New("tun0", false, 1500)
	r.exportVars("init")
	if err := r.configure(); err != nil || !r.RoutesUp(t.Context()) {
		t.Fatalf("open: %v", err)
	}
	r.told = nil
	return r
}

// update is what a client does for a push update. It returns what was changed in the system.
func (r *rig) update(t *testing.T, entries string) (calls []string, routesOK bool, err error) {
	t.Helper()
	u, err := r.base.UpdatePushed(&r.base.Connections[0], r.pushed, strings.Split(entries, ","))
	if err != nil {
		t.Fatal(err)
	}
	n := len(r.system.Calls())
	next, err := r.Next(t.Context(), u.Options, u.Profile, server)
	if err != nil {
		return nil, false, err
	}
	routesOK, err = r.Become(t.Context(), next)
	r.pushed = u.Pushed
	return r.system.Calls()[n:], routesOK, err
}

const pushedRoutes = "topology subnet,route-gateway 10.8.0.1,ifconfig 10.8.0.2 255.255.255.0,route 10.1.0.0 255.255.0.0,dhcp-option DNS 192.0.2.1,dhcp-option DNS 192.0.2.2"

// Each update changes what differs and nothing else, and all of it is taken back in the end.
func TestBecome(t *testing.T) {
	r := newRig(t, pushedRoutes)
	for _, tt := range []struct {
		update      string
		calls, told []string
		env         map[string]string // "" for none
	}{
		{
			"route 10.1.0.0 255.255.0.0,route 10.2.0.0 255.255.0.0",
			[]string{"add route 10.2.0.0/16 via 10.8.0.1 metric -1"},
			[]string{"up=false", "ADD_ROUTES", "up=true"},
			map[string]string{"route_network_2": "10.2.0.0", "script_context": "restart"},
		},
		{"route 10.1.0.0 255.255.0.0,route 10.2.0.0 255.255.0.0", nil, nil, map[string]string{"route_network_2": "10.2.0.0", "ifconfig_local": "10.8.0.2"}},
		{"-route,redirect-gateway def1", []string{
			"add route 10.50.0.1/32 via 10.99.0.1 metric -1", "add route 0.0.0.0/1 via 10.8.0.1 metric -1", "add route 128.0.0.0/1 via 10.8.0.1 metric -1",
			"del route 10.2.0.0/16 via 10.8.0.1 metric -1", "del route 10.1.0.0/16 via 10.8.0.1 metric -1",
		}, []string{"up=false", "up=true"}, map[string]string{"route_network_1": "", "redirect_gateway": "1"}},
		{"-redirect-gateway", []string{
			"del route 128.0.0.0/1 via 10.8.0.1 metric -1", "del route 0.0.0.0/1 via 10.8.0.1 metric -1", "del route 10.50.0.1/32 via 10.99.0.1 metric -1",
		}, []string{"up=false", "up=true"}, map[string]string{"redirect_gateway": "0"}},
		{"tun-mtu 1400", []string{"mtu tun0 1400"}, []string{"up=false", "up=true"}, map[string]string{"tun_mtu": "1400"}},
		{"dhcp-option DNS 192.0.2.3", nil, []string{"up=false", "up=true"}, map[string]string{"foreign_option_1": "dhcp-option DNS 192.0.2.3", "foreign_option_2": ""}},
		{"route-ipv6 fd55::/64,ifconfig-ipv6 fd00:8::2/64 fd00:8::1", []string{
			"mtu tun0 1400", "up tun0", "add addr tun0 fd00:8::2/64", "add route fd55::/64 dev tun0 metric -1",
		}, []string{"up=false", "ASSIGN_IP", "up=true"}, map[string]string{"ifconfig_ipv6_local": "fd00:8::2", "route_ipv6_network_1": "fd55::/64"}},
		{"ifconfig 10.8.0.9 255.255.255.0", []string{
			"del route fd55::/64 dev tun0 metric -1", "del addr tun0 10.8.0.2/24", "mtu tun0 1400", "up tun0", "add addr tun0 10.8.0.9/24",
			"add route fd55::/64 dev tun0 metric -1",
		}, []string{"up=false", "ASSIGN_IP", "up=true"}, map[string]string{"ifconfig_local": "10.8.0.9"}},
		{"block-ipv6,keepalive 5 30", nil, nil, nil},
	} {
		r.told = nil
		calls, ok, err := r.update(t, tt.update)
		if err != nil || !ok {
			t.Fatalf("%s: %v, %v", tt.update, ok, err)
		}
		if diff := cmp.Diff(tt.calls, calls, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", tt.update, diff)
		}
		if diff := cmp.Diff(tt.told, r.told); diff != "" {
			t.Errorf("%s: told (-want +got):\n%s", tt.update, diff)
		}
		for name, want := range tt.env {
			if got, _ := r.env.Get(name); got != want {
				t.Errorf("%s: %s=%q, want %q", tt.update, name, got, want)
			}
		}
	}
	r.takenBack(t)
}

// A route that is refused is passed over, as at the start; an address is an error, and Close still takes all back.
func TestBecomeRefused(t *testing.T) {
	r := newRig(t, pushedRoutes)
	r.system.Fail("add route 10.3.0.0/16 via 10.8.0.1 metric -1", errors.New("refused"))
	r.system.Fail("add addr tun0 10.8.0.9/24", errors.New("refused"))
	if _, ok, err := r.update(t, "route 10.3.0.0 255.255.0.0,route 10.4.0.0 255.255.0.0"); ok || err != nil || len(r.system.Routes()) != 1 {
		t.Errorf("route: %v, %v, routes %v", ok, err, r.system.Routes())
	}
	if _, _, err := r.update(t, "ifconfig 10.8.0.9 255.0.255.0"); err == nil || len(r.system.Routes()) != 1 {
		t.Errorf("a netmask with holes: %v, routes %v", err, r.system.Routes())
	}
	if _, _, err := r.update(t, "ifconfig 10.8.0.9 255.255.255.0"); err == nil {
		t.Error("an address that cannot be given is no error")
	}
	r.takenBack(t)
}

// takenBack closes the tunnel, which has to leave the system as it was.
func (r *rig) takenBack(t *testing.T) {
	t.Helper()
	if err := r.Close(engine.Stop{Signal: engine.TERM}, func() {}); err != nil {
		t.Fatal(err)
	}
	if len(r.system.Routes()) != 0 || len(r.system.Addrs("tun0")) != 0 {
		t.Errorf("left: %v, %v", r.system.Routes(), r.system.Addrs("tun0"))
	}
}

// A device that can have no IPv6 address goes on with IPv4, and later plans ask for none.
func TestBecomeWithoutIPv6(t *testing.T) {
	r := newRig(t, pushedRoutes)
	const add = "add addr tun0 fd00:8::2/64"
	r.system.Fail(add, netconf.ErrNoIPv6)
	asksFor6 := func(entries string) bool {
		calls, ok, err := r.update(t, entries)
		if err != nil || !ok {
			t.Fatalf("%s: %v, %v", entries, ok, err)
		}
		return slices.Contains(calls, add)
	}
	if !asksFor6("ifconfig-ipv6 fd00:8::2/64 fd00:8::1,route-ipv6 fd55::/64") {
		t.Error("the address is not tried")
	}
	if asksFor6("route 10.2.0.0 255.255.0.0,route-ipv6 fd56::/64") {
		t.Error("the address is tried again")
	}
	if v4, v6 := r.Addresses(); v6.IsValid() || !v4.IsValid() {
		t.Errorf("addresses %v and %v", v4, v6)
	}
	for _, line := range r.env.List() {
		if strings.Contains(line, "ipv6") {
			t.Errorf("scripts are told %s", line)
		}
	}
	// What would go beside the tunnel ends it.
	beside := newRig(t, pushedRoutes)
	beside.system.Gateway6 = netconf.Gateway{Addr: netip.MustParseAddr("fe80::1"), Dev: "eth0"}
	beside.system.Fail(add, netconf.ErrNoIPv6)
	if _, _, err := beside.update(t, "ifconfig-ipv6 fd00:8::2/64 fd00:8::1,redirect-gateway ipv6"); err == nil || !strings.Contains(err.Error(), "beside the tunnel, through eth0") {
		t.Errorf("beside the tunnel: %v", err)
	}
	r.takenBack(t)
	beside.takenBack(t)
}
