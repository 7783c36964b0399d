package config

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const pushedAtFirst = "route 10.1.0.0 255.255.0.0,route-gateway 10.8.0.1,topology subnet,ping 10,ping-restart 60,dns server 1 address 1.1.1.1," +
	"ifconfig 10.8.0.2 255.255.255.0,peer-id 0,redirect-gateway def1"

// Each update leads to the list that a server would have pushed at once, or to an error, and then to nothing.
func TestUpdatePushed(t *testing.T) {
	for _, tt := range []struct {
		name, file, update string
		gone, added        string // of what was pushed at first
		notes              []string
		err, rejected      string
	}{
		{name: "nothing"},
		{
			name: "replace", update: "route 10.2.0.0 255.255.0.0,route 10.3.0.0", gone: "route", added: "route 10.2.0.0 255.255.0.0,route 10.3.0.0",
			notes: []string{"|OPTIONS IMPORT: route options modified"},
		},
		{name: "remove", update: "-route", gone: "route"},
		{name: "remove what is not there", update: "-route-ipv6"},
		{name: "remove, then set", update: "-route,route 10.2.0.0", gone: "route", added: "route 10.2.0.0", notes: []string{"|OPTIONS IMPORT: route options modified"}},
		{name: "set, then remove", update: "route 10.2.0.0,-?route", gone: "route"},
		{name: "optional", update: "?tun-mtu 1400", added: "tun-mtu 1400", notes: []string{"|OPTIONS IMPORT: tun-mtu set to 1400"}},
		{
			name: "keepalive", update: "keepalive 5 30", gone: "ping,ping-restart", added: "ping 5,ping-restart 30",
			notes: []string{"|OPTIONS IMPORT: timers and/or timeouts modified"},
		},
		{name: "no keepalive", update: "-keepalive", gone: "ping,ping-restart"},
		{name: "keepalive of one", update: "?keepalive 5", notes: []string{"W|Options error: option 'keepalive' has missing or extra parameter(s)"}},
		{name: "keepalive of words", update: "keepalive five 30", notes: []string{"W|Options error: ping: Cannot parse argument 'five' as non-negative integer"}},
		{name: "cannot be updated", update: "route 10.2.0.0,cipher none", rejected: "cipher none", notes: []string{"W|Pushed option is not updatable: 'cipher none'."}},
		{name: "nor removed", update: "-auth-token", rejected: "-auth-token", notes: []string{"W|Pushed option is not updatable: '-auth-token'."}},
		{name: "a token", update: "auth-token secret", rejected: "auth-token secret", notes: []string{"W|Pushed option is not updatable: 'auth-token'."}},
		{name: "unknown", update: "no-such-option", rejected: "no-such-option", notes: []string{"W|Pushed option is not updatable: 'no-such-option'."}},
		{
			name: "unknown but optional", update: "?no-such-option 1,-?cipher,-route", gone: "route",
			notes: []string{"|Pushed dispensable option is not updatable: '?no-such-option 1'. Ignoring.", "|Pushed dispensable option is not updatable: '-?cipher'. Ignoring."},
		},
		{name: "of another system", update: "block-outside-dns", notes: []string{"W|WARNING: --block-outside-dns has no effect on this system"}},
		{
			name: "wrong value, and good ones", update: "topology ring,route 300.0.0.0,route 10.2.0.0", gone: "route", added: "route 10.2.0.0",
			notes: []string{"W|Options error: --topology must be net30, p2p, or subnet", "W|Options error: route parameter network/IP '300.0.0.0' must be a valid address", "|OPTIONS IMPORT: route options modified"},
		},
		{
			name: "wrong values replace nothing", update: "route 300.0.0.0,route no.such.host.invalid,route 10.2.0.0 255.255.0.0 1 2 3,tun-mtu 999999",
			notes: []string{
				"W|Options error: route parameter network/IP '300.0.0.0' must be a valid address", "W|Options error: route parameter network/IP 'no.such.host.invalid' must be a valid address",
				"W|Options error: Unrecognized option or missing or extra parameter(s) in [PUSH-OPTIONS]:1: route (2.6.14)", "W|Options error: tun-mtu: Must be an integer between 68 and 65536, not 999999",
			},
		},
		{name: "wrong value, optional", update: "?topology ring", notes: []string{"W|Options error: --topology must be net30, p2p, or subnet"}},
		{name: "value too many", update: "-route 10.1.0.0", notes: []string{"W|Options error: option '-route' has missing or extra parameter(s)"}},
		{name: "marks in the wrong order", update: "?-route", err: "option '-route' has marks"},
		{name: "marks alone", update: "-?", err: "no option"},
		{name: "quotes without an end", update: `route "10`, err: "quot"},
		{name: "resolver without address", update: "dns server 1 sni x", err: "does not have an address"},
		{
			name: "route-nopull", file: "route-nopull\n", update: "route 10.2.0.0,-redirect-gateway,tun-mtu 1400", added: "tun-mtu 1400",
			notes: []string{
				"|Push update of option 'route' ignored: route-nopull", "|Push update of option 'redirect-gateway' ignored: route-nopull",
				"|OPTIONS IMPORT: tun-mtu set to 1400",
			},
		},
		{
			name: "filters", file: "pull-filter ignore \"route 10.9\"\npull-filter ignore cipher\npull-filter ignore -topology\n",
			update: "?route 10.9.0.0,cipher none,-topology,route 10.2.0.0", gone: "route", added: "route 10.2.0.0",
			notes: []string{
				"|Pushed option removed by filter: 'route 10.9.0.0'", "|Pushed option removed by filter: 'cipher none'",
				"|Pushed option removed by filter: '-topology'", "|OPTIONS IMPORT: route options modified",
			},
		},
		{
			name: "filtered timers", file: "pull-filter ignore \"ping \"\n", update: "keepalive 5 30", gone: "ping,ping-restart", added: "ping-restart 30",
			notes: []string{"|Pushed option removed by filter: 'ping 5'", "|OPTIONS IMPORT: timers and/or timeouts modified"},
		},
		{
			name: "rejected timers", file: "pull-filter reject \"ping \"\n", update: "keepalive 5 30", rejected: "ping 5",
			notes: []string{"W|Pushed option rejected by filter: 'ping 5'. Restarting."},
		},
		{
			name: "reject", file: "pull-filter reject redirect-private\n", update: "route 10.2.0.0,redirect-private", rejected: "redirect-private",
			notes: []string{"W|Pushed option rejected by filter: 'redirect-private'. Restarting."},
		},
		{name: "too many", update: strings.Repeat("route 10.2.0.0,", maxPushed), err: "too many options"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := mustParse(t, minimal+"remote a\nroute 172.16.0.0\n"+tt.file)
			var entries []string
			if tt.update != "" {
				entries = strings.Split(strings.TrimSuffix(tt.update, ","), ",")
			}
			pushed := strings.Split(pushedAtFirst, ",")
			u, err := base.UpdatePushed(&base.Connections[0], pushed, entries)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) || u.Rejected != tt.rejected {
				t.Fatalf("error %v, want %q; rejected %q, want %q", err, tt.err, u.Rejected, tt.rejected)
			}
			if diff := cmp.Diff(tt.notes, noteTexts(u.Notes)); diff != "" {
				t.Errorf("notes, -want +got:\n%s", diff)
			}
			if len(base.Routes) != 1 || len(base.Notes) != len(mustParse(t, minimal+"remote a\nroute 172.16.0.0\n"+tt.file).Notes) {
				t.Error("the base changed")
			}
			if err != nil || tt.rejected != "" {
				return
			}
			want := without(pushed, strings.Split(tt.gone, ","))
			if tt.added != "" {
				want = append(want, strings.Split(tt.added, ",")...)
			}
			if diff := cmp.Diff(want, u.Pushed); diff != "" {
				t.Errorf("list, -want +got:\n%s", diff)
			}
			// The same as if the new list had been pushed at the start.
			o := base.Clone()
			res, err := o.ApplyPushed(&o.Connections[0], want)
			if err != nil || res.Digest != u.Digest || o.Ping != u.Options.Ping || !slices.Equal(o.Routes, u.Options.Routes) || o.Connections[0].TunMTU != u.Profile.TunMTU {
				t.Errorf("not what %q gives: %v", want, err)
			}
		})
	}
}

// What the file says is the user's: it stays, and counts again when the server takes its own value back.
func TestUpdateLeavesTheFileAlone(t *testing.T) {
	base := mustParse(t, minimal+"remote a\nroute 172.16.0.0\nroute-metric 7\nping 3\n")
	u, err := base.UpdatePushed(&base.Connections[0], []string{"route-metric 9", "ping 10", "route 10.0.0.0"}, []string{"-route", "-route-metric", "-keepalive"})
	if err != nil || len(u.Options.Routes) != 1 || u.Options.RouteMetric != 7 || u.Options.Ping != 3*time.Second || len(u.Pushed) != 0 {
		t.Errorf("%v: routes %v, metric %d, ping %v, list %q", err, u.Options.Routes, u.Options.RouteMetric, u.Options.Ping, u.Pushed)
	}
}

// An update there and back leaves the digest as it was, so that a restart finds the device fit.
func TestDigestOfUpdates(t *testing.T) {
	base := mustParse(t, minimal+"remote a\n")
	update := func(pushed []string, entries ...string) *Update {
		u, err := base.UpdatePushed(&base.Connections[0], pushed, entries)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	first := update(strings.Split(pushedAtFirst, ","))
	other := update(first.Pushed, "route 10.2.0.0 255.255.0.0")
	back := update(other.Pushed, "route 10.1.0.0 255.255.0.0", "keepalive 1 9")
	if first.Digest == other.Digest || first.Digest != back.Digest {
		t.Error("the digest is not that of what is in force")
	}
}

func FuzzUpdatePushed(f *testing.F) {
	for _, s := range []string{
		"route 10.55.0.0 255.255.0.0,-?dns", "-route,?tun-mtu 1400", "keepalive 5 30,-keepalive", "?-x,-,?,-?", `"route" 10.0.0.0,-"route"`,
		"ifconfig 10.8.0.9 255.255.255.0,topology subnet,ifconfig-ipv6 fd00::2/64 fd00::1", "dns server 0 address 1.2.3.4,cipher none",
	} {
		f.Add(s)
	}
	base, err := Parse([]string{"--client", "--dev", "tun", "--remote", "a", "--ca", "x", "--auth-user-pass"}, Env{SkipFiles: true})
	if err != nil {
		f.Fatal(err)
	}
	pushed := strings.Split(pushedAtFirst, ",")
	f.Fuzz(func(t *testing.T, s string) {
		entries := strings.Split(s, ",")
		u, err := base.UpdatePushed(&base.Connections[0], pushed, entries)
		if len(base.Routes) > 0 || !slices.Equal(pushed, strings.Split(pushedAtFirst, ",")) {
			t.Fatal("what was there before changed")
		}
		if err != nil {
			return
		}
		if len(u.Pushed) > len(pushed)+2*len(entries) {
			t.Fatalf("%d options after %d changes of %d", len(u.Pushed), len(entries), len(pushed))
		}
		// Whatever an update leads to can be pushed, and says the same again.
		again, err := base.UpdatePushed(&base.Connections[0], u.Pushed, entries)
		if err != nil || again.Digest != u.Digest {
			t.Fatalf("%q twice: %v", s, err)
		}
	})
}
