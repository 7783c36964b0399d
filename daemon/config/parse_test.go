package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// parse reads text as a file without looking at other files.
func parse(t *testing.T, text string) (*Options, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Parse([]string{path}, Env{SkipFiles: true})
}

func mustParse(t *testing.T, text string) *Options {
	t.Helper()
	o, err := parse(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func noteTexts(notes []Note) []string {
	var s []string
	for _, n := range notes {
		s = append(s, n.Level.Flag()+"|"+n.Text)
	}
	return s
}

func TestCommandLine(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("f", []byte("verb 3\ndev null\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	rest := []string{"--client", "--remote", "a", "--ca", "x", "--auth-user-pass"}
	for _, tt := range []struct {
		name string
		args []string
		verb int
		err  string
	}{
		{"a file alone", []string{"f"}, 3, ""},
		{"none", nil, 0, "usage"},
		{"help", []string{"--help", "me"}, 0, "usage"},
		{"version", []string{"--version"}, 0, "version"},
		{"later wins", append([]string{"--config", "f", "--verb", "5"}, rest...), 5, ""},
		{"also the file", append([]string{"--verb", "5", "--config", "f"}, rest...), 3, ""},
		{"clamped", append([]string{"--dev", "tun", "--verb", "99"}, rest...), 11, ""},
		{"no dashes", []string{"verb", "3"}, 0, `Options error: I'm trying to parse "verb" as an --option parameter but I don't see a leading '--'`},
		{"a single dash is a parameter", []string{"--verb", "-3"}, 0, "Options error: verb: Must be an integer >= 0, not -3"},
		{"sixteen parameters", append(append([]string{"--echo"}, strings.Fields(strings.Repeat("x ", 16))...), "--dev", "tun"), 0,
			`Options error: I'm trying to parse "x" as an --option`},
		{"unknown", []string{"--zz"}, 0, "Options error: Unrecognized option or missing or extra parameter(s) in [CMD-LINE]:1: zz ("},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := Parse(tt.args, Env{SkipFiles: true})
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Fatalf("error %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if o.Verb != tt.verb {
				t.Errorf("verb = %d, want %d", o.Verb, tt.verb)
			}
		})
	}
}

// An option without its optional parameter must not swallow the name of the next one.
func TestOptionsKeepTheirNeighbours(t *testing.T) {
	args := []string{"--dev", "tun", "--setenv", "X1", "--verb", "5", "--client", "--ca", "x", "--remote", "a", "--compress", "--comp-lzo", "--auth-user-pass"}
	o, err := Parse(args, Env{SkipFiles: true})
	if err != nil || o.Verb != 5 || o.Framing != FramingLZO || args[4] != "--verb" || !o.AuthUserPass.Ask {
		t.Errorf("verb %d, framing %s, args %q, %v", o.Verb, o.Framing, args, err)
	}
}

func TestErrorsKnowTheirPlace(t *testing.T) {
	_, err := parse(t, "verb 3\n\n<ca>\nx\ny\n</ca>\nproto foo\n")
	var e *Error
	if !errors.As(err, &e) || e.Line != 7 || e.Option != "proto" || !strings.HasSuffix(e.File, "c.conf") || !e.Usage {
		t.Errorf("error = %#v", err)
	}
}

func TestNumbersNeedDigitsAndLimits(t *testing.T) {
	for in, want := range map[string]string{
		"verb x":                    "verb: Cannot parse argument 'x' as non-negative integer",
		"nice x5":                   "nice: Cannot parse argument 'x5' as integer",
		"nice 99":                   "nice: Must be an integer between -20 and 19, not 99",
		"ping -1":                   "ping: Must be an integer >= 0, not -1",
		"mute 99999999999999999999": "mute: Cannot parse argument '99999999999999999999' as non-negative integer",
		"ping 99999999999":          "ping: Must be an integer >= 0, not 99999999999",
	} {
		if _, err := parse(t, in+"\n"); err == nil || err.Error() != "Options error: "+want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

func TestInlineBlocks(t *testing.T) {
	o := mustParse(t, `client
dev tun
remote a
<ca>
-----BEGIN-----
  x # kept
-----END-----
  </ca> and more
<auth-user-pass>
name
secret
</auth-user-pass>
tls-auth [inline] 1
<tls-auth>
k
</tls-auth>
<peer-fingerprint>
# one a line
`+strings.Repeat("ab:", 31)+`cd

`+strings.Repeat("00:", 31)+`01
</peer-fingerprint>
`)
	if got, want := string(o.CA.Inline), "-----BEGIN-----\n  x # kept\n-----END-----\n"; got != want {
		t.Errorf("ca = %q, want %q", got, want)
	}
	if b, err := o.AuthUserPass.Source.Load(); string(b) != "name\nsecret\n" || err != nil {
		t.Errorf("auth-user-pass = %q, %v", b, err)
	}
	c := o.Connections[0]
	if string(c.TLSAuth.Inline) != "k\n" || c.KeyDirection != KeyDirection1 || c.TLSAuth.String() != "[INLINE]" {
		t.Errorf("tls-auth = %v, direction %d", c.TLSAuth, c.KeyDirection)
	}
	if len(o.PeerFingerprint) != 2 || o.PeerFingerprint[1][31] != 1 {
		t.Errorf("fingerprints = %x", o.PeerFingerprint)
	}
}

const minimal = "dev tun\nclient\nca x\nauth-user-pass\nremote-cert-tls server\nauth-nocache\ncipher AES-256-GCM\n"

func TestProfiles(t *testing.T) {
	type profile struct {
		Proto                   Proto
		Remote, Port, LocalPort string
		Bind, Float             bool
		MSSFix, Exit            int
		TLSCrypt                string
	}
	for _, tt := range []struct {
		name, in string
		want     []profile
	}{
		{"defaults", "remote a\n", []profile{{"udp", "a", "1194", "1194", false, false, 1492, 0, ""}}},
		{"remotes take global values wherever they stand", "remote a\nremote b 2 tcp4\nremote c 3\nproto udp6\nport 9\nfloat\n", []profile{
			{"udp6", "a", "9", "9", false, true, 1492, 0, ""},
			{"tcp4-client", "b", "2", "9", false, true, 1492, 0, ""},
			{"udp6", "c", "3", "9", false, true, 1492, 0, ""},
		}},
		{"blocks take global values so far", "port 5\nremote plain\n<connection>\nremote a\nfloat\n</connection>\nport 6\n" +
			"<connection>\nremote b 7 tcp\nmssfix 1000\nlport 8\n</connection>\ntls-crypt k\n", []profile{
			{"udp", "a", "5", "5", false, true, 1492, 0, "k"},
			{"tcp-client", "b", "7", "8", true, false, 1000, 0, "k"},
		}},
		{"a key of its own", "tls-crypt g\n<connection>\nremote a\n<tls-crypt>\nx\n</tls-crypt>\n</connection>\n", []profile{
			{"udp", "a", "1194", "1194", false, false, 1492, 0, "[INLINE]"},
		}},
		{"exit notify only with datagrams", "explicit-exit-notify 3\nremote a\nremote b 1 tcp\n", []profile{
			{"udp", "a", "1194", "1194", false, false, 1492, 3, ""}, {"tcp-client", "b", "1", "1194", false, false, 1492, 0, ""},
		}},
		{"proto-force", "proto-force tcp\nremote a\nremote b 1 tcp\nremote c 1 tcp6\n", []profile{
			{"tcp-client", "b", "1", "1194", false, false, 1492, 0, ""}, {"tcp6-client", "c", "1", "1194", false, false, 1492, 0, ""},
		}},
		{"mssfix follows tun-mtu", "tun-mtu 1400\nremote a\n", []profile{{"udp", "a", "1194", "1194", false, false, 1400, 0, ""}}},
		{"mssfix follows fragment", "fragment 1200\nremote a\n", []profile{{"udp", "a", "1194", "1194", false, false, 1200, 0, ""}}},
		{"mssfix off", "mssfix 0\nremote a\n", []profile{{"udp", "a", "1194", "1194", false, false, 0, 0, ""}}},
		{"bound by lport", "lport 0\nremote a\n", []profile{{"udp", "a", "1194", "0", true, false, 1492, 0, ""}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []profile
			for _, c := range mustParse(t, minimal+tt.in).Connections {
				got = append(got, profile{c.Proto, c.Remote, c.RemotePort, c.LocalPort, c.Bind, c.Float, c.MSSFix, c.ExplicitExitNotify, c.TLSCrypt.String()})
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestProxies(t *testing.T) {
	o := mustParse(t, minimal+"proto tcp\nhttp-proxy p 8080 auto basic\nhttp-proxy-option AGENT x\nhttp-proxy-option CUSTOM-HEADER A b\n"+
		"<connection>\nremote a\nhttp-proxy-option CUSTOM-HEADER C\n</connection>\n<connection>\nremote b\n</connection>\n")
	want := &HTTPProxy{Host: "p", Port: "8080", Auth: "basic", AuthAuto: true, Version: "1.0", Agent: "x", Headers: [][2]string{{"A", "b"}}}
	if diff := cmp.Diff(want, o.Connections[1].HTTPProxy); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := o.Connections[0].HTTPProxy.Headers; len(got) != 2 {
		t.Errorf("headers of the first block: %v", got)
	}
}

func TestServerMacros(t *testing.T) {
	base := "ca x\ncert x\nkey x\ndh none\nkeepalive 10 60\npush \"route 10.9.0.0 255.255.0.0\"\n"
	for _, tt := range []struct {
		name, in              string
		push                  []string
		ifconfig, pool, extra string
	}{
		{"net30", "dev tun\nserver 10.8.0.0 255.255.255.0\n", []string{"route 10.8.0.1", "topology net30"}, "10.8.0.1 10.8.0.2", "10.8.0.4 10.8.0.251", ""},
		{"p2p", "dev tun\ntopology p2p\nserver 10.8.0.0 255.255.255.0\n", []string{"topology p2p"}, "10.8.0.1 10.8.0.2", "10.8.0.4 10.8.0.251", ""},
		{"net30, client-to-client", "dev tun\nclient-to-client\nserver 10.8.0.0 255.255.255.0\n", []string{"route 10.8.0.0 255.255.255.0", "topology net30"},
			"10.8.0.1 10.8.0.2", "10.8.0.4 10.8.0.251", ""},
		{"subnet and IPv6", "dev tun\ntopology subnet\nserver 10.8.0.0 255.255.255.0\nserver-ipv6 fd00:8::5/64\n",
			[]string{"tun-ipv6", "route-gateway 10.8.0.1", "topology subnet"}, "10.8.0.1 255.255.255.0", "10.8.0.2 10.8.0.254", "fd00:8::6/64 fd00:8::1005/64 10.8.0.2"},
		{"tap", "dev tap\nserver 10.8.0.0 255.255.255.0\n", []string{"route-gateway 10.8.0.1"}, "10.8.0.1 255.255.255.0", "10.8.0.2 10.8.0.254", ""},
		{"bridge", "dev tap\nserver-bridge 10.0.0.4 255.255.255.0 10.0.0.50 10.0.0.90\n", []string{"route-gateway 10.0.0.4"}, "invalid IP invalid IP", "10.0.0.50 10.0.0.90", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := mustParse(t, base+tt.in)
			want := append(append([]string{"route 10.9.0.0 255.255.0.0"}, tt.push...), "ping 10", "ping-restart 60")
			if diff := cmp.Diff(want, o.Push); diff != "" {
				t.Errorf("push, -want +got:\n%s", diff)
			}
			if got := o.Ifconfig.Local.String() + " " + o.Ifconfig.Remote.String(); got != tt.ifconfig {
				t.Errorf("ifconfig %s, want %s", got, tt.ifconfig)
			}
			if got := o.IfconfigPool.Start.String() + " " + o.IfconfigPool.End.String(); got != tt.pool {
				t.Errorf("pool %s, want %s", got, tt.pool)
			}
			if tt.extra != "" {
				if got := o.IfconfigIPv6.Local.String() + " " + o.IfconfigIPv6Pool.Local.String() + " " + o.RouteGateway; got != tt.extra {
					t.Errorf("got %s, want %s", got, tt.extra)
				}
			}
			if !o.ModeServer || !o.TLSServer || o.Ping != 10*time.Second || o.PingRestart != 120*time.Second || !o.Connections[0].Bind {
				t.Errorf("mode %v, ping %v, ping-restart %v", o.ModeServer, o.Ping, o.PingRestart)
			}
		})
	}
}

func TestCiphers(t *testing.T) {
	for _, tt := range []struct {
		name, in       string
		ciphers        string
		fallback, note string
	}{
		{"default", "", "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305", "", ""},
		{"optional", "data-ciphers aes-128-gcm:?foo:AES-256-CBC\ncipher AES-256-CBC\n", "AES-128-GCM:AES-256-CBC", "", "I|Unsupported optional cipher in --data-ciphers: foo"},
		{"keyword", "data-ciphers DEFAULT:AES-192-CBC\n", "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305:AES-192-CBC", "", ""},
		{"cipher is not in the list", "cipher AES-256-CBC\n", "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305", "",
			"W|DEPRECATED OPTION: --cipher set to 'AES-256-CBC' but missing in --data-ciphers (AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305). OpenVPN ignores --cipher for cipher negotiations. "},
		{"2.4", "compat-mode 2.4.0\ncipher AES-256-CBC\n", "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305:AES-256-CBC", "", ""},
		{"2.3", "compat-mode 2.3.0\n", "AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305", "AES-256-GCM", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := mustParse(t, minimal+"remote a\n"+tt.in)
			if got := strings.Join(o.DataCiphers, ":"); got != tt.ciphers || o.DataCiphersFallback != tt.fallback {
				t.Errorf("ciphers %s, fallback %s", got, o.DataCiphersFallback)
			}
			if diff := cmp.Diff(strings.Fields(tt.note), strings.Fields(strings.Join(noteTexts(o.Notes), "\n"))); diff != "" {
				t.Errorf("notes, -want +got:\n%s", diff)
			}
		})
	}
	if o := mustParse(t, "dev tun\nremote a\ntls-client\nca x\ncert x\nkey x\n"); o.DataCiphersFallback != "" {
		t.Errorf("fallback of a peer: %q", o.DataCiphersFallback)
	}
}

func TestToleratedUnknownOptions(t *testing.T) {
	o := mustParse(t, minimal+"remote a\nsetenv opt block-outside-dns\nignore-unknown-option --foo bar\nfoo 1\nbar\nsetenv X y\nsetenv ab\n")
	if diff := cmp.Diff([]EnvVar{{"X", "y"}, {"ab", ""}}, o.Env); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	got := noteTexts(o.Notes)
	if len(got) != 3 || !strings.HasSuffix(got[0], ":9: block-outside-dns ("+programVersion+")") || !strings.HasPrefix(got[0], "W|Unrecognized option") {
		t.Errorf("notes %q", got)
	}
	if _, err := parse(t, "foo\nignore-unknown-option foo\n"); err == nil {
		t.Error("an unknown option before ignore-unknown-option passed")
	}
}

func TestIncludes(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a", "config b\n"+minimal)
	write("b", "remote b\nverb 4\n")
	o, err := Parse([]string{"a"}, Env{SkipFiles: true})
	if err != nil || o.Connections[0].Remote != "b" || o.Verb != 4 || o.Config != "a" {
		t.Errorf("%v, %v", o.Connections, err)
	}
	o, err = Parse([]string{"--config", "stdin"}, Env{SkipFiles: true, Stdin: strings.NewReader(minimal + "remote c\n")})
	if err != nil || o.Connections[0].Remote != "c" {
		t.Errorf("%v, %v", o, err)
	}
	write("loop", "config loop\n")
	if _, err = Parse([]string{"loop"}, Env{}); err == nil || !strings.Contains(err.Error(), "Maximum recursive include levels exceeded") {
		t.Errorf("loop: %v", err)
	}
}

func TestSourcesStayOutOfLogs(t *testing.T) {
	s := Source{Inline: []byte("secret")}
	if s.LogValue().String() != "[INLINE]" || !s.Set() || (Source{}).Set() {
		t.Errorf("%v", s.LogValue())
	}
}
