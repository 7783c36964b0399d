package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFleet(t *testing.T) {
	base := slices.Clip([]string{"--dev", "tun", "--server", "10.8.0.0", "255.255.255.0", "--dh", "none", "--ca", "/ca", "--cert", "/cert", "--key", "/key", "--auth-user-pass-verify", "/v", "via-env"})
	for _, tt := range []struct {
		args   string
		want   Fleet
		tokens string
		err    string
	}{
		{args: "--fleet /f", want: Fleet{Dir: "/f"}},
		{args: "--fleet /f --auth-gen-token", want: Fleet{Dir: "/f"}, tokens: "/f/auth-token.key"},
		{args: "--fleet /f --auth-gen-token --auth-gen-token-secret /t", want: Fleet{Dir: "/f"}, tokens: "/t"},
		{args: "--auth-gen-token"},
		{args: "--fleet-limit 1", want: Fleet{Limit: 1}},
		{args: "--fleet-limit 3 oldest strict", want: Fleet{Limit: 3, Oldest: true, Strict: true}},
		{args: "--fleet-limit 3 strict newest", want: Fleet{Limit: 3, Strict: true}},
		{args: "--fleet-limit 2 best-effort oldest", want: Fleet{Limit: 2, Oldest: true}},
		{args: "--fleet-route kernel", want: Fleet{Route: FleetRoute{Kernel: true}}},
		{args: "--fleet-route relay --fleet-route kernel", want: Fleet{Route: FleetRoute{Kernel: true, Relay: true}}},
		{args: "--fleet-route proxy-arp", want: Fleet{Route: FleetRoute{ProxyARP: true}}},
		{args: "--fleet-route proxy-arp eth0 eth1 --fleet-route proxy-arp eth2", want: Fleet{Route: FleetRoute{ProxyARP: true, Devices: []string{"eth0", "eth1", "eth2"}}}},
		{args: "--fleet-route bgp", err: "want proxy-arp, kernel or relay"},
		{args: "--fleet-route kernel eth0", err: "only proxy-arp takes devices"},
		{args: "--fleet-limit 0", err: "want a number from 1 to 1000"},
		{args: "--fleet-limit many", err: "want a number from 1 to 1000"},
		{args: "--fleet-limit 1 first", err: "want newest, oldest, strict or best-effort"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			o, err := Parse(append(base, strings.Fields(tt.args)...), Env{SkipFiles: true})
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("%v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, o.Fleet); diff != "" {
				t.Error(diff)
			}
			if o.AuthTokenSecret.Path != tt.tokens {
				t.Errorf("key of tokens in %q, want %q", o.AuthTokenSecret.Path, tt.tokens)
			}
		})
	}
}
