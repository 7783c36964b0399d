package client_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/mgmt/client"
)

func TestParseAddr(t *testing.T) {
	type result struct {
		Network, Address string
		TLS              bool
	}
	for in, want := range map[string]result{
		"127.0.0.1:7505": {"tcp", "127.0.0.1:7505", false},
		":7505":          {"tcp", "127.0.0.1:7505", false},
		"[::1]:7505":     {"tcp", "[::1]:7505", false},
		"vpn.example:1":  {"tcp", "vpn.example:1", false},
		"tls://h:2":      {"tcp", "h:2", true},
		"unix:/run/m":    {"unix", "/run/m", false},
		"unix:///run/m":  {"unix", "/run/m", false},
		"/run/m.sock":    {"unix", "/run/m.sock", false},
		"./m.sock":       {"unix", "./m.sock", false},
		"run/m.sock":     {"unix", "run/m.sock", false},
		"./a:b":          {"unix", "./a:b", false},
	} {
		a, err := client.ParseAddr(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if diff := cmp.Diff(want, result{a.Network, a.Address, a.TLS}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
	}
	for _, in := range []string{"", "host", "::1:7505", "unix:", "tls://h", "host:", "host:x", "host:0", "host:65536", "http://host", "tls:///x:1"} {
		if a, err := client.ParseAddr(in); err == nil {
			t.Errorf("%q: read as %+v", in, a)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"pid":                                 "pid",
		"password":                            "password",
		"password Auth":                       "password Auth",
		"password Auth hunter2":               "password Auth [...]",
		`password "Private Key" "a b"`:        `password "Private Key" [...]`,
		`  "password" 'HTTP Proxy' x`:         `password 'HTTP Proxy' [...]`,
		`password "Auth hunter2`:              "password [...]",
		"username Auth joe":                   "username Auth [...]",
		"needstr x y":                         "needstr x [...]",
		"cr-response aGk=":                    "cr-response [...]",
		"passwordx y":                         "passwordx y",
		">PASSWORD:Auth-Token:SESS_ID_AT":     ">PASSWORD:Auth-Token:[...]",
		">PASSWORD:Need 'Auth' password":      ">PASSWORD:Need 'Auth' password",
		">CLIENT:ENV,password=x":              ">CLIENT:ENV,password=[...]",
		">CLIENT:CR_RESPONSE,1,2,cmVzcG9uc2U": ">CLIENT:CR_RESPONSE,1,2,[...]",
	} {
		if got := client.Redact(in); got != want {
			t.Errorf("Redact(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzRedactHidesThePassword(f *testing.F) {
	f.Add("Auth", " ")
	f.Add(`"Private Key"`, `  "`)
	f.Add("'", "'")
	f.Fuzz(func(t *testing.T, typ, gap string) {
		const secret = "hunter2secret"
		if strings.Contains(secret, typ) || typ == "" || strings.ContainsAny(typ, " ") && !strings.HasPrefix(typ, `"`) {
			return
		}
		line := "password " + typ + " " + gap + secret
		if got := client.Redact(line); strings.Contains(got, secret) {
			t.Errorf("Redact(%q) = %q", line, got)
		}
	})
}

func TestParseStatusServer(t *testing.T) {
	for _, file := range []string{"testdata/status2.txt", "testdata/status3.txt"} {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := client.ParseStatus(strings.Split(strings.TrimSpace(string(b)), "\n"))
		if err != nil {
			t.Fatal(err)
		}
		want := client.Status{
			Server: true, Title: "OpenVPN 2.6.14 x86_64-pc-linux-gnu [SSL (OpenSSL)]", Updated: time.Unix(1795409060, 0),
			Clients: []client.StatusClient{{
				CommonName: "client1", RealAddress: "10.99.7.2:43211", VirtualAddress: "10.8.7.2", VirtualIPv6: "fd00:7::1000",
				BytesReceived: 4202, BytesSent: 3871, ConnectedSince: time.Unix(1795409056, 0), Username: "joe", ClientID: "0", PeerID: "0",
				Cipher: "AES-256-GCM",
			}},
			Routes: []client.StatusRoute{{VirtualAddress: "10.8.7.2", CommonName: "client1", RealAddress: "10.99.7.2:43211", LastRef: time.Unix(1795409058, 0)}},
			Global: []client.Counter{{Name: "Max bcast/mcast queue length", Value: 0}, {Name: "dco_enabled", Value: 0}},
		}
		if diff := cmp.Diff(want, s); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

func TestParseStatusClient(t *testing.T) {
	s, err := client.ParseStatus([]string{"OpenVPN STATISTICS", "Updated,2026-11-23 10:00:00", "TUN/TAP read bytes,12", "Auth read bytes,7"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Server || s.Counter("TUN/TAP read bytes") != 12 || s.Counter("Auth read bytes") != 7 || s.Updated.Minute() != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := client.ParseStatus(nil); err == nil {
		t.Error("an empty report was accepted")
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add("TITLE,x\nHEADER,CLIENT_LIST,Common Name\nCLIENT_LIST,a\nGLOBAL_STATS")
	f.Add("OpenVPN STATISTICS\nUpdated,x\na,1")
	f.Fuzz(func(t *testing.T, s string) {
		lines := strings.Split(s, "\n")
		st, err := client.ParseStatus(lines)
		if err == nil && len(st.Clients)+len(st.Routes)+len(st.Counters) > len(lines) {
			t.Errorf("more rows than lines: %+v", st)
		}
	})
}
