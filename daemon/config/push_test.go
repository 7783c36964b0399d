package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestApplyPushed(t *testing.T) {
	base := mustParse(t, minimal+"remote a\ndhcp-option DOMAIN x\ndhcp-option DNS 9.9.9.9\nroute 172.16.0.0 255.240.0.0\n")
	o := base.Clone()
	c := &o.Connections[0]
	res, err := o.ApplyPushed(c, strings.Split("route 10.0.0.0 255.0.0.0,route-gateway 10.8.0.1,topology subnet,ping 10,ping-restart 60,"+
		"ifconfig 10.8.0.2 255.255.255.0,ifconfig-ipv6 fd00:8::2/64 fd00:8::1,peer-id 7,cipher AES-256-GCM,"+
		"protocol-flags cc-exit tls-ekm dyn-tls-crypt,tun-mtu 1400,dns server 1 address 1.2.3.4 [2001:db8::1]:53,dns search-domains a.b,"+
		"redirect-gateway def1 ipv6,auth-token SESS_ID_x,auth-token-user dXNlcg==,explicit-exit-notify 2,setenv-safe k v,verb 4,"+
		"block-outside-dns,register-dns x,route foo.bar,up /bin/sh,push-continuation 1,  inactive 60 1000", ","))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{
		"W|Options error: Unrecognized option or missing or extra parameter(s) in [PUSH-OPTIONS]:20: block-outside-dns (2.6.14)",
		"W|Options error: Unrecognized option or missing or extra parameter(s) in [PUSH-OPTIONS]:21: register-dns (2.6.14)",
		"W|Options error: route parameter network/IP 'foo.bar' must be a valid address",
		"W|Options error: option 'up' cannot be used in this context ([PUSH-OPTIONS])",
		"|OPTIONS IMPORT: timers and/or timeouts modified",
		"|OPTIONS IMPORT: explicit notify parm(s) modified",
		"|OPTIONS IMPORT: --verb and/or --mute level changed",
		"|OPTIONS IMPORT: --ifconfig/up options modified",
		"|OPTIONS IMPORT: route options modified",
		"|OPTIONS IMPORT: route-related options modified",
		"|OPTIONS IMPORT: --ip-win32 and/or --dhcp-option options modified",
		"|OPTIONS IMPORT: environment modified",
		"|OPTIONS IMPORT: peer-id set",
		"|OPTIONS IMPORT: data channel crypto options modified",
		"|OPTIONS IMPORT: tun-mtu set to 1400",
	}, noteTexts(res.Notes)); diff != "" {
		t.Errorf("notes, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"dhcp-option DOMAIN x", "dhcp-option DNS 1.2.3.4", "dhcp-option DNS6 2001:db8::1", "dhcp-option DOMAIN-SEARCH a.b",
	}, o.ForeignForScripts()); diff != "" {
		t.Errorf("foreign options, -want +got:\n%s", diff)
	}
	if o.PeerID != 7 || !o.CCExit || !o.KeyDerivationEKM || !o.DynamicTLSCrypt || c.TunMTU != 1400 || !o.TunMTUPushed || o.AuthTokenUser != "user" ||
		o.Ping != 10*time.Second || c.ExplicitExitNotify != 2 || o.InactiveBytes != 1000 || !o.Redirect.Def1 || !o.Redirect.IPv6 || len(o.Routes) != 2 ||
		o.Ifconfig.Remote.String() != "255.255.255.0" || o.IfconfigIPv6.Local.String() != "fd00:8::2/64" || o.Env[0] != (EnvVar{"OPENVPN_k", "v"}) {
		t.Errorf("options after the push: %+v", o)
	}
	// What they came from is untouched, for the next connection.
	if base.PeerID != -1 || len(base.Routes) != 1 || len(base.ForeignOptions) != 2 || base.Connections[0].TunMTU != 1500 || base.Topology != TopologyNet30 ||
		len(base.DNSServers) != 0 {
		t.Errorf("the base changed: %+v", base)
	}
}

// Notes number the options of each message, with those that a filter takes out.
func TestPushedLinesAreNumbered(t *testing.T) {
	o := mustParse(t, minimal+"remote a\npull-filter ignore \"ping\"\n").Clone()
	res, err := o.ApplyPushed(&o.Connections[0], []string{"first", "ping 10", "third", "push-continuation 2", "ping-restart 60", "again"})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, n := range res.Notes {
		if _, at, ok := strings.Cut(n.Text, pushList+":"); ok {
			lines = append(lines, at)
		}
	}
	if diff := cmp.Diff([]string{"1: first (2.6.14)", "3: third (2.6.14)", "2: again (2.6.14)"}, lines); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A redirect with a flag that we do not know still redirects, as with stock: else the traffic that a server asks for goes beside the tunnel.
func TestPushedRedirectWithUnknownFlag(t *testing.T) {
	for _, tt := range []struct {
		pushed      string
		def1, local bool
	}{
		{"redirect-gateway foo", false, false}, {"redirect-gateway def1 foo", true, false}, {"redirect-gateway def1 foo block-local", true, false},
		{"redirect-gateway def1 block-local foo", true, true},
	} {
		o := mustParse(t, minimal+"remote a\n")
		res, err := o.ApplyPushed(&o.Connections[0], []string{tt.pushed})
		if err != nil {
			t.Fatal(err)
		}
		if r := o.Redirect; !r.Enabled || !r.Gateway || r.Def1 != tt.def1 || r.BlockLocal != tt.local {
			t.Errorf("%s: %+v", tt.pushed, r)
		}
		if text := strings.Join(noteTexts(res.Notes), "\n"); !strings.Contains(text, "unknown --redirect-gateway flag: foo") {
			t.Errorf("%s: %s", tt.pushed, text)
		}
	}
}

func TestPullFilters(t *testing.T) {
	o := mustParse(t, minimal+"remote a\npull-filter accept \"route 10.\"\npull-filter ignore route\npull-filter reject redirect\n")
	push := func(list ...string) *PushResult {
		c := o.Clone()
		res, err := c.ApplyPushed(&c.Connections[0], list)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	res := push("route 10.0.0.0 255.0.0.0", " route 1.2.3.4", "ping 5")
	want := []string{
		"|Pushed option accepted by filter: 'route 10.0.0.0 255.0.0.0'", "|Pushed option removed by filter: ' route 1.2.3.4'",
		"|OPTIONS IMPORT: timers and/or timeouts modified", "|OPTIONS IMPORT: route options modified",
	}
	if diff := cmp.Diff(want, noteTexts(res.Notes)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if res := push("ping 5", "redirect-gateway def1"); res.Rejected != "redirect-gateway def1" || len(res.Changed) != 0 {
		t.Errorf("result %+v", res)
	}
}

// However a server writes an option: it is filtered as what it is applied as.
func TestPullFiltersSeeWords(t *testing.T) {
	const filters = "pull-filter reject \"route 10.\"\npull-filter ignore \"dhcp-option DNS\"\npull-filter ignore cipher\npull-filter accept \"route \"\n"
	for _, tt := range []struct{ pushed, rejected string }{
		{`route 10.0.0.0 255.0.0.0`, "all"},
		{`  route  10.0.0.0   255.0.0.0`, "all"},
		{"route\t10.0.0.0\t255.0.0.0", "all"},
		{`"route" 10.0.0.0 255.0.0.0`, "all"},
		{`'route' '10.0.0.0' 255.0.0.0`, "all"},
		{`r\oute 10.0.0.0 255.0.0.0`, ""},  // not an option either
		{`ro"ute" 10.0.0.0 255.0.0.0`, ""}, // quotes inside a word are part of it: no option is called so
		{`"dhcp-option" DNS 1.2.3.4`, "it"},
		{`dhcp-option "DNS" 1.2.3.4`, "it"},
		{`dhcp-option  DNS 1.2.3.4`, "it"},
		{`"cipher" AES-192-CBC`, "it"},
		{`route 11.0.0.0 255.0.0.0`, ""},
		{`"route" 11.0.0.0 255.0.0.0`, ""},
		{`"route 10.0.0.0`, ""}, // no closing quote: not an option, not applied
	} {
		o := mustParse(t, minimal+"remote a\n"+filters)
		res, err := o.ApplyPushed(&o.Connections[0], []string{tt.pushed})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		switch {
		case res.Rejected != "":
			got = "all"
		case strings.Contains(strings.Join(noteTexts(res.Notes), "\n"), "Pushed option removed by filter: '"+tt.pushed+"'"):
			got = "it"
		}
		if got != tt.rejected {
			t.Errorf("%s: filtered %q, want %q; %q", tt.pushed, got, tt.rejected, noteTexts(res.Notes))
		}
		for _, r := range o.Routes {
			if tt.rejected != "" || strings.HasPrefix(r.Network, "10.") {
				t.Errorf("%s: route %v went past the filters", tt.pushed, r)
			}
		}
		if res.Cipher != "" || len(o.ForeignOptions) != 0 {
			t.Errorf("%s: %q, %q went past the filters", tt.pushed, res.Cipher, o.ForeignOptions)
		}
	}
}

func TestRouteNopull(t *testing.T) {
	o := mustParse(t, minimal+"remote a\nroute-nopull\n")
	res, err := o.ApplyPushed(&o.Connections[0], []string{"route 10.0.0.0 255.0.0.0", "dhcp-option DNS 1.2.3.4", "route-gateway 10.8.0.1"})
	if err != nil || len(o.Routes) != 0 || len(o.ForeignOptions) != 0 || o.RouteGateway != "10.8.0.1" {
		t.Errorf("routes %v, foreign %v, %v", o.Routes, o.ForeignOptions, err)
	}
	if got := res.Notes[0].Text; got != "Options error: option 'route' cannot be used in this context ([PUSH-OPTIONS])" {
		t.Errorf("note %q", got)
	}
}

func TestPushedDNSServerNeedsAnAddress(t *testing.T) {
	o := mustParse(t, minimal+"remote a\n")
	if _, err := o.ApplyPushed(&o.Connections[0], []string{"dns server 1 sni x"}); !errors.Is(err, ErrPulledDNS) {
		t.Errorf("error %v", err)
	}
}

func TestPushedServersReplaceThoseOfTheFile(t *testing.T) {
	base := mustParse(t, minimal+"remote a\ndns server 2 address 9.9.9.9\ndns server 5 address 8.8.8.8\n")
	o := base.Clone()
	if _, err := o.ApplyPushed(&o.Connections[0], []string{"dns server 5 address 1.1.1.1", "dns server 5 address 1.0.0.1", "dns server -1 address 7.7.7.7"}); err != nil {
		t.Fatal(err)
	}
	want := []string{"dhcp-option DNS 9.9.9.9", "dhcp-option DNS 1.1.1.1", "dhcp-option DNS 1.0.0.1"}
	if diff := cmp.Diff(want, o.ForeignForScripts()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDigestIgnoresWhatChangesEachTime(t *testing.T) {
	base := mustParse(t, minimal+"remote a\n")
	digest := func(list ...string) [32]byte {
		o := base.Clone()
		res, err := o.ApplyPushed(&o.Connections[0], list)
		if err != nil {
			t.Fatal(err)
		}
		return res.Digest
	}
	a := digest("route 10.0.0.0", "peer-id 1", "auth-token x")
	if b := digest("peer-id 2", "route 10.0.0.0", "cipher AES-128-GCM"); a != b {
		t.Error("peer-id, auth-token or cipher changed the digest")
	}
	if b := digest("route 10.0.0.1"); a == b {
		t.Error("another route has the same digest")
	}
}

func TestPushedMTUHasALimit(t *testing.T) {
	o := mustParse(t, minimal+"remote a\n")
	res, err := o.ApplyPushed(&o.Connections[0], []string{"tun-mtu 9000"})
	if err != nil || o.Connections[0].TunMTU != 1600 {
		t.Errorf("tun-mtu %d, %v", o.Connections[0].TunMTU, err)
	}
	if got := res.Notes[len(res.Notes)-1].Text; got != "Server-pushed tun-mtu is too large, please add tun-mtu-max 9000 in the client configuration" {
		t.Errorf("note %q", got)
	}
}

// A mapped IPv4 address is none of IPv6: the kernel refuses it, and what a server pushes is not to end the client.
func TestPushedIPv6AddressIsNoMappedOne(t *testing.T) {
	o := mustParse(t, minimal+"remote a\n")
	res, err := o.ApplyPushed(&o.Connections[0], []string{"ifconfig-ipv6 ::ffff:10.0.0.1/96 ::1"})
	if err != nil || !strings.HasPrefix(res.Notes[0].Text, "Options error: ") || o.IfconfigIPv6.Set() {
		t.Errorf("notes %v, %v; the address is %v", res.Notes, err, o.IfconfigIPv6)
	}
}
