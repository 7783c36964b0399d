package config

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const minimalServer = "dev tun\ntopology subnet\nserver 10.8.0.0 255.255.255.0\nca x\ncert x\nkey x\ndh none\nkeepalive 10 60\n"

func TestParseClientConfig(t *testing.T) {
	o := mustParse(t, minimalServer)
	c := o.NewClientConfig()
	errs := o.ParseClientConfig(c, "ccd/client1", []byte(`# one client
push "route 10.9.0.0 255.255.0.0"
push a,b
push-remove ping
ifconfig-push 10.8.0.77 255.255.255.0 10.8.0.78
ifconfig-ipv6-push fd00::7/64 fd00::1
iroute 10.50.0.0 255.255.0.0
iroute 10.60.0.1 255.255.0.0
iroute-ipv6 fd01::5/64
verb 3
zz
ping 20
data-ciphers AES-128-GCM
setenv opt no-such-option
echo hello there
max-routes-per-client 7
`))
	var got []string
	for _, e := range errs {
		got = append(got, e.Error())
	}
	if diff := cmp.Diff([]string{
		"Options error: PUSH OPTION FAILED (illegal comma (',') in string): 'a,b'",
		"Options error: in --iroute 10.60.0.1 255.255.0.0 : Bad network/subnet specification",
		"Options error: option 'verb' cannot be used in this context (ccd/client1)",
		"Options error: Unrecognized option or missing or extra parameter(s) in ccd/client1:11: zz (2.6.14)",
	}, got); diff != "" {
		t.Errorf("errors, -want +got:\n%s", diff)
	}
	want := []string{"route-gateway 10.8.0.1", "topology subnet", "route 10.9.0.0 255.255.0.0"}
	if diff := cmp.Diff(want, c.Push); diff != "" {
		t.Errorf("push, -want +got:\n%s", diff)
	}
	if c.Ifconfig.Alias.String() != "10.8.0.78" || c.IfconfigIPv6.Local.String() != "fd00::7/64" || len(c.Iroutes) != 1 || c.IroutesIPv6[0].String() != "fd01::/64" ||
		c.Ping != 20*time.Second || c.DataCiphers[0] != "AES-128-GCM" || c.Echo[0] != "hello there" || c.MaxRoutesPerClient != 7 {
		t.Errorf("%+v", c)
	}
	if n := noteTexts(c.Notes); len(n) != 2 || n[0] != "|PUSH_REMOVE 'ping'" || !strings.Contains(n[1], "no-such-option") {
		t.Errorf("notes %q", n)
	}
	// A script's file comes on top.
	if errs := o.ParseClientConfig(c, "script", []byte("push-reset\npush x\npush-remove ifconfig\ndisable\n")); len(errs) != 0 {
		t.Error(errs)
	}
	if len(c.Push) != 1 || !c.NoPushIfconfig || c.NoPushIfconfigIPv6 || !c.Disable || c.Ping != 20*time.Second {
		t.Errorf("%+v", c)
	}
	// Neither the server nor another client notices.
	if len(o.Push) != 4 || o.Ping != 10*time.Second || len(o.DataCiphers) != 3 || len(o.NewClientConfig().Push) != 4 {
		t.Errorf("the server's options changed: %v %v", o.Push, o.Ping)
	}
}

func TestDiff(t *testing.T) {
	a := mustParse(t, minimal+"remote a\nverb 3\nroute 10.0.0.0\nroute 10.1.0.0\n<tls-crypt>\nx\n</tls-crypt>\n")
	b := mustParse(t, "verb 4\n"+minimal+"remote a\nroute 10.1.0.0\nroute 10.0.0.0\nping 5\n<tls-crypt>\nx\n</tls-crypt>\n")
	var names []string
	for _, c := range Diff(a, b) {
		names = append(names, c.Option)
	}
	if diff := cmp.Diff([]string{"ping", "route", "verb"}, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if c := Diff(a, a); len(c) != 0 {
		t.Errorf("a file differs from itself: %v", c)
	}
}

func FuzzFile(f *testing.F) {
	for _, s := range []string{minimal + "remote a\n", minimalServer, "<connection>\nremote a 1 tcp\n</connection>\n", "<ca>\n", "setenv opt x\n", "dns server 1 address [::1]:5\n",
		"dev tap\nserver-bridge 10.0.0.4 255.255.255.0 10.0.0.50 10.0.0.90\n", "config /dev/null\n", "server-ipv6 fd00::/64\n", "\xef\xbb\xbf\x00\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "config") { // no reading around in the machine
			return
		}
		o, err := Parse([]string{"--config", "stdin"}, Env{SkipFiles: true, Stdin: strings.NewReader(s), Getenv: func(string) string { return "" }})
		if err == nil && o.Tool.Name == "" && len(o.Connections) == 0 {
			t.Fatal("no profile")
		}
	})
}

func FuzzPushed(f *testing.F) {
	f.Add("route 10.0.0.0 255.0.0.0,ping 5,tun-mtu 1400,dns server 1 address 1.2.3.4")
	f.Add("ifconfig 10.0.0.1 10.0.0.2,auth-token-user x,protocol-flags a,cipher none,compress lz4-v2")
	f.Add("client-nat snat 1.2.3.4 255.0.0.0 1.1.1.1,redirect-gateway def1 !ipv4,setenv opt x,connection x,push a")
	base, err := Parse([]string{"--client", "--dev", "tun", "--remote", "a", "--ca", "x", "--auth-user-pass"}, Env{SkipFiles: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		o := base.Clone()
		list := strings.Split(s, ",")
		res, _ := o.ApplyPushed(&o.Connections[0], list)
		if n := len(res.Notes); n > 3*len(list)+20 {
			t.Fatalf("%d notes for %d options", n, len(list))
		}
		if len(base.Routes) > 0 || len(base.Notes) != len(o.Notes) {
			t.Fatal("the base changed")
		}
	})
}

func FuzzClientConfig(f *testing.F) {
	f.Add("push x\nifconfig-push 1.2.3.4 255.0.0.0\niroute 10.0.0.0 255.0.0.0\npush-remove p\n")
	f.Add("push-reset\ndisable\n<ca>\nx\n</ca>\niroute-ipv6 ::/0\nsetenv opt a\ncompress migrate\nvlan-pvid 7\n")
	o, err := Parse([]string{"--dev", "tun", "--server", "10.8.0.0", "255.255.255.0", "--ca", "x", "--cert", "x", "--key", "x", "--dh", "none"}, Env{SkipFiles: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "config") {
			return
		}
		c := o.NewClientConfig()
		errs := o.ParseClientConfig(c, "f", []byte(s))
		if len(errs) > strings.Count(s, "\n")+1 {
			t.Fatalf("%d errors", len(errs))
		}
		for _, e := range errs {
			if e.Error() == "" {
				t.Fatal("empty error")
			}
		}
	})
}

// A line that is too long is wrong as a whole, however long: its end is not executed.
func TestEndOfALongLine(t *testing.T) {
	o := mustParse(t, minimalServer)
	for _, n := range []int{300, 4090, 4096, 5000, 20000} {
		c := o.NewClientConfig()
		errs := o.ParseClientConfig(c, "f", []byte("push \""+strings.Repeat("x", n)+"\" \"\niroute 10.0.0.0 255.0.0.0\n"))
		if len(errs) != 1 || errs[0].Line != 1 || len(c.Iroutes) != 1 {
			t.Errorf("%d bytes: %v, %v", n, errs, c.Iroutes)
		}
	}
}

// Names in ifconfig-push are looked up where the caller can; all else that is no address stays an error.
func TestClientAddressByName(t *testing.T) {
	o := mustParse(t, minimalServer)
	for _, tt := range []struct {
		line, local, remote string // "" for an error
		asked               int
	}{
		{"alice 255.255.255.0", "10.8.0.5", "255.255.255.0", 1},
		{"10.8.0.9 gateway", "10.8.0.9", "10.8.0.1", 1},
		{"alice gateway", "10.8.0.5", "10.8.0.1", 2},
		{"10.8.0.9 255.255.255.0", "10.8.0.9", "255.255.255.0", 0},
		{"nobody 255.255.255.0", "", "", 1},
		{"alice; 255.255.255.0", "", "", 0},
		{"fd00::1 255.255.255.0", "", "", 0},
	} {
		asked := 0
		c := o.NewClientConfig()
		c.Lookup = func(name string) (netip.Addr, error) {
			asked++
			if a, ok := map[string]string{"alice": "10.8.0.5", "gateway": "10.8.0.1"}[name]; ok {
				return netip.MustParseAddr(a), nil
			}
			return netip.Addr{}, errors.New("Name or service not known")
		}
		errs := o.ParseClientConfig(c, "ccd", []byte("ifconfig-push "+tt.line+"\n"))
		if (tt.local == "") != (len(errs) > 0) || asked != tt.asked || tt.local != "" && (c.Ifconfig.Local.String() != tt.local || c.Ifconfig.Remote.String() != tt.remote) {
			t.Errorf("%q: %+v, %d names asked, errors %v", tt.line, c.Ifconfig, asked, errs)
		}
		c.Lookup = nil
		if errs := o.ParseClientConfig(c, "ccd", []byte("ifconfig-push "+tt.line+"\n")); (len(errs) > 0) != (tt.asked > 0 || tt.local == "") {
			t.Errorf("%q without names: %v", tt.line, errs)
		}
	}
}
