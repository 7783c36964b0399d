//go:build linux

package test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/data"
)

// What a client works with when a server pushes a cipher, only names one in its options string, or tells nothing; and when
// that is in data-ciphers, is the fallback, is cipher under compat-mode, or none of them.
func TestCipherOfClientLikeStock(t *testing.T) {
	t.Parallel()
	const cbc = "AES-192-CBC"
	ours := map[string][]string{
		"in data-ciphers":    {"--data-ciphers", "AES-256-GCM:" + cbc},
		"fallback":           {"--data-ciphers-fallback", cbc},
		"fallback, list":     {"--data-ciphers", "AES-128-GCM", "--data-ciphers-fallback", cbc},
		"cipher 2.4":         {"--cipher", cbc, "--compat-mode", "2.4.0"},
		"cipher 2.3":         {"--cipher", cbc, "--compat-mode", "2.3.0"},
		"cipher 2.3, listed": {"--cipher", "AES-256-GCM", "--compat-mode", "2.3.0"},
		"cipher":             {"--cipher", cbc},
		"other fallback":     {"--data-ciphers-fallback", "AES-128-CBC"},
		"nothing":            nil,
	}
	theirs := map[string]puppetServer{
		"pushed": {options: "V4,dev-type tun,cipher " + cbc, texts: []string{"cipher " + cbc}},
		"named":  {options: "V4,dev-type tun,cipher " + cbc + ",auth SHA1,keysize 192"},
		"untold": {options: "V4,dev-type tun"},
	}
	outcome := regexp.MustCompile(`Data Channel: cipher '([^']*)'|(OPTIONS ERROR: .*)|(ERROR: .*)`)
	for how, server := range theirs {
		for what, client := range ours {
			t.Run(how+"/"+what, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				push := "PUSH_REPLY,ifconfig 10.8.0.2 255.255.255.0,topology subnet"
				for _, o := range server.texts {
					push += "," + o
				}
				puppetServer{options: server.options, texts: []string{push}}.start(t, l)
				got := map[string]string{}
				for who, start := range compared {
					c := start(t, l.client, l.clientArgs(slices.Concat(client, []string{"--ifconfig-noexec", "--nobind"})...))
					got[who] = c.WaitMatch(t, outcome, upLimit)
					c.Stop(t)
				}
				if got["stock"] != got["ours"] {
					t.Errorf("stock %q\n ours %q", got["stock"], got["ours"])
				} else {
					t.Log(got["ours"])
				}
			})
		}
	}
}

// What a server pushes to a client that lists its ciphers, names one, or tells nothing.
func TestCipherOfServerLikeStock(t *testing.T) {
	t.Parallel()
	const cbc = "AES-192-CBC"
	servers := map[string][]string{
		"in data-ciphers": {"--data-ciphers", "AES-256-GCM:" + cbc},
		"fallback":        {"--data-ciphers-fallback", cbc},
		"cipher 2.4":      {"--cipher", cbc, "--compat-mode", "2.4.0"},
		"cipher 2.3":      {"--cipher", cbc, "--compat-mode", "2.3.0"},
		"nothing":         nil,
	}
	clients := map[string]struct{ options, info string }{
		"lists it":           {"V4,dev-type tun", "IV_VER=2.6\nIV_CIPHERS=" + cbc + "\n"},
		"lists another":      {"V4,dev-type tun,cipher " + cbc, "IV_VER=2.6\nIV_CIPHERS=AES-128-CBC\n"},
		"2.4, names it":      {"V4,dev-type tun,cipher " + cbc, "IV_VER=2.4\nIV_NCP=2\n"},
		"2.3, names it":      {"V4,dev-type tun,cipher " + cbc, "IV_VER=2.3\n"},
		"2.3, tells nothing": {"V4,dev-type tun", "IV_VER=2.3\n"},
	}
	for what, args := range servers {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			got := map[string]map[string]string{}
			for who, start := range compared {
				l := newLab(t)
				start(t, l.server, l.serverArgs(args...)).WaitLine(t, up, upLimit)
				got[who] = map[string]string{}
				for how, c := range clients {
					p, err := l.newPuppet(openUDP(t, l.client, "", "10.99.0.1:1194"), c.options, c.info)
					if err != nil {
						t.Fatal(err)
					}
					asked := time.Time{}
					p.event = func(e control.Event) {
						if _, ok := e.(control.Active); ok {
							asked = time.Now()
						}
					}
					err = p.play(upLimit, func() bool {
						if !asked.IsZero() && time.Since(asked) > 0 {
							_ = p.session.SendText("PUSH_REQUEST")
							asked = asked.Add(2 * time.Second)
						}
						return p.told("PUSH_REPLY") || p.told("AUTH_FAILED")
					})
					p.session.Close()
					if err != nil {
						t.Fatal(err)
					}
					got[who][how] = "kept its own"
					for _, text := range p.texts {
						if strings.HasPrefix(text, "AUTH_FAILED") {
							got[who][how] = text
						} else if _, c, ok := strings.Cut(text, ",cipher "); ok {
							got[who][how], _, _ = strings.Cut(c, ",")
						}
					}
				}
			}
			if diff := cmp.Diff(got["stock"], got["ours"]); diff != "" {
				t.Errorf("-stock +ours:\n%s", diff)
			} else {
				t.Log(got["ours"])
			}
		})
	}
}

// What two peers without a pull agree upon.
func TestCipherOfPeersLikeStock(t *testing.T) {
	t.Parallel()
	configs := map[string][]string{
		"default":  nil,
		"list":     {"--data-ciphers", "AES-192-CBC:AES-128-GCM"},
		"cipher":   {"--cipher", "AES-192-CBC"},
		"fallback": {"--data-ciphers", "AES-192-GCM", "--data-ciphers-fallback", "AES-128-CBC"},
	}
	for one, server := range configs {
		for other, client := range configs {
			t.Run(one+" with "+other, func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				got := map[string]string{}
				for who, start := range compared {
					s := stock(t, l.server, append([]string{"--dev", "tun", "--tls-server", "--dh", "none", "--verb", "3", "--ifconfig", "10.8.0.1", "10.8.0.2",
						"--ca", l.file("ca.crt"), "--cert", l.file("server.crt"), "--key", l.file("server.key"), "--remote", "10.99.0.2"}, server...))
					c := start(t, l.client, append([]string{"--dev", "tun", "--tls-client", "--verb", "3", "--ifconfig", "10.8.0.2", "10.8.0.1",
						"--ca", l.file("ca.crt"), "--cert", l.file("client.crt"), "--key", l.file("client.key"), "--remote", "10.99.0.1"}, client...))
					got[who] = c.WaitMatch(t, regexp.MustCompile(`Data Channel: cipher '[^']*'|ERROR: Failed to apply P2P.*`), upLimit)
					got[who] = got[who][:min(len(got[who]), 40)] + c.WaitMatch(t, regexp.MustCompile(`cipher=.*`), upLimit)
					if strings.HasPrefix(got[who], "ERROR") {
						c.WaitLine(t, "No usable data channel cipher", upLimit)
						c.WaitLine(t, "SIGUSR1[soft,connection initialisation failed]", upLimit)
					}
					c.Stop(t)
					s.Stop(t)
				}
				if got["stock"] != got["ours"] {
					t.Errorf("stock %q\n ours %q", got["stock"], got["ours"])
				}
			})
		}
	}
}

// Every cipher of 64-bit blocks works with stock, those of OpenSSL's legacy provider with the option that allows them.
func TestShortBlockCiphersWithStock(t *testing.T) {
	t.Parallel()
	var names []string
	for _, s := range data.Ciphers() {
		if s.ShortBlocks() {
			names = append(names, s.Name)
		}
	}
	l := newLab(t)
	legacy := []string{"--providers", "legacy", "default"}
	servers := map[string]*daemontest.Process{"10.8.0.1": l.stockServer(t, append(legacy, "--data-ciphers", strings.Join(names[:8], ":"))...)}
	ours := oursReleased(t, l.server, l.serverArgs(append(legacy, "--data-ciphers", strings.Join(names[8:], ":"), "--port", "1195", "--server", "10.9.0.0", "255.255.255.0", "--dev", "tun1")...))
	ours.WaitLine(t, up, upLimit)
	servers["10.9.0.1"] = ours
	for n, name := range names {
		start, gateway, port := oursReleased, "10.8.0.1", "1194"
		if n >= 8 {
			start, gateway, port = stock, "10.9.0.1", "1195"
		}
		c := start(t, l.client, l.clientArgs(append(legacy, "--remote", "10.99.0.1", port, "--data-ciphers", name, "--cipher", strings.ToLower(name), "--nobind")...))
		c.WaitLine(t, "Data Channel: cipher '"+name+"'", upLimit)
		c.WaitLine(t, "WARNING: INSECURE cipher ("+name+")", upLimit)
		c.WaitLine(t, up, upLimit)
		ping(t, l.client, gateway, 2, 0, "0.1")
		unanswered(l.client, gateway, 1, "0.1")
		c.Stop(t)
	}
	for _, s := range servers {
		s.WaitLine(t, "WARNING: INSECURE cipher", upLimit)
	}
}

// A list of data-ciphers is taken or refused as by stock, but for a cipher that stock has and we do not: it is left out as long as others
// remain.
func TestCipherListsLikeStock(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	said := regexp.MustCompile(`Unsupported (optional )?cipher in --data-ciphers: .*|--data-ciphers list contains.*|\S+ is left out|--mode server only works`)
	taken := "--mode server only works" // what stops the daemon otherwise
	for list, ours := range map[string]string{
		"AES-256-GCM:FOO": "", "AES-256-GCM:?FOO": "", "?FOO": "", "DES-EDE3-CBC": "", "des-ede-cfb:AES-128-GCM": "", "DES3:AES256": "",
		"AES-256-GCM:BF-CBC": "", "AES-256-GCM:?BF-CBC": "", "legacy:BF-CBC": "", "legacy:CAST5-CBC:DES-OFB:BF": "", "id-aes256-GCM": "",
		"AES-256": "", "BF": "", "SM4-GCM:AES-128-GCM": "", "RC2-CBC": "",
		"AES-256-GCM:CAMELLIA-128-CBC":      taken + "\nCAMELLIA-128-CBC is left out",
		"AES-256-GCM:ARIA-256-GCM:?SM4-CBC": taken + "\nARIA-256-GCM is left out\nUnsupported optional cipher in --data-ciphers: SM4-CBC",
		"AES-128-CFB8:AES-128-GCM":          taken + "\nAES-128-CFB8 is left out",
		"CAMELLIA-128-CBC":                  "--data-ciphers list contains unsupported ciphers or is too long.\nCAMELLIA-128-CBC is left out",
	} {
		got := make(map[string]string)
		for who, program := range map[string]string{"stock": daemontest.RequireOpenVPN(t), "ours": program(t)} {
			args := []string{program, "--dev", "null", "--mode", "server", "--tls-server", "--dh", "none", "--verb", "3",
				"--ca", l.file("ca.crt"), "--cert", l.file("server.crt"), "--key", l.file("server.key")}
			names, legacy := strings.CutPrefix(list, "legacy:")
			if legacy {
				args = append(args, "--providers", "legacy", "default")
			}
			out, _ := l.server.TryRun(append(args, "--data-ciphers", names)...)
			lines := said.FindAllString(out, -1)
			for n := range lines {
				lines[n], _, _ = strings.Cut(lines[n], ".: '") // ours names the word
			}
			slices.Sort(lines)
			got[who] = strings.Join(slices.Compact(lines), "\n")
		}
		want := ours
		if ours == "" {
			want = got["stock"]
		} else if got["stock"] != taken {
			t.Errorf("%s: stock says %q", list, got["stock"])
		}
		if got["ours"] != want {
			t.Errorf("%s: %q, want %q", list, got["ours"], want)
		}
	}
}
