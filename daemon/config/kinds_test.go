package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// verdicts are what both daemons make of a configuration: its first error, or nothing.
func verdicts(t *testing.T, dir, text string) (stocks, own string) {
	t.Helper()
	lines, _ := stock(t, dir, text+stop)
	for _, line := range lines {
		if strings.HasPrefix(line, "Options error: ") {
			stocks = version.ReplaceAllString(line, "("+programVersion+")")
			break
		}
	}
	own, _ = ours(t, dir)
	return stocks, own
}

// What macros conflict with depends on their own flags: nopool leaves the pool to others, a bridge without addresses has none.
func TestMacroConflictsAreStocks(t *testing.T) {
	dir := workDir(t)
	macros := []string{
		"server 10.8.0.0 255.255.255.0", "server 10.8.0.0 255.255.255.0 nopool", "server-ipv6 fd00:8::/64", "server-bridge", "server-bridge nogw",
		"server-bridge 10.8.0.1 255.255.255.0 10.8.0.10 10.8.0.20", "mode server\ntls-server",
	}
	others := []string{
		"", "ifconfig-pool 10.8.0.100 10.8.0.120 255.255.255.0", "ifconfig-pool 10.8.0.100 10.8.0.120", "ifconfig-ipv6-pool fd00:8::1000/64", "ifconfig-pool-persist pool",
		"client", "secret key", "tls-client", "ifconfig 10.8.0.1 255.255.255.0", "ifconfig-ipv6 fd00:8::1/64 fd00:8::2", "keepalive 10 60", "keepalive 10 60\nping 5",
		"keepalive 0 0\nping 5", "keepalive 10 60\nping-exit 60", "keepalive 10 60\nping-restart 0", "keepalive 10 60\nping-exit 0", "keepalive 10 60\nping-restart 5", "route-gateway 10.8.0.9", "ifconfig-push-constraint 10.8.0.0 255.255.255.0",
	}
	for _, dev := range []string{"dev tun\ntopology subnet\n", "dev tun\n", "dev tap\n"} {
		for i, m := range macros {
			for _, o := range append(slices.Clone(others), macros[i+1:]...) {
				text := dev + m + "\n" + o + "\nca cert\ncert cert\nkey key\ndh none\n"
				if want, got := verdicts(t, dir, text); got != want {
					t.Errorf("%q\n got %q\nwant %q", dev+m+"\n"+o, got, want)
				}
			}
		}
	}
}

// A number with something behind it is that number, with a warning, wherever stock takes it. A text without any digit is refused.
func TestNumbersWithSomethingBehindThem(t *testing.T) {
	dir := workDir(t)
	const (
		management = clientBase + "management 127.0.0.2 1 pass\n" // stock listens there: other packages count on nobody at 127.0.0.1:1
		server     = serverBase + "auth-user-pass-verify ./script via-env\nscript-security 2\n"
		bridge     = "dev tap\nserver 10.8.0.0 255.255.255.0\nca cert\ncert cert\nkey key\ndh none\nvlan-tagging\n"
	)
	for base, forms := range map[string][]string{ // # stands before what follows the number
		clientBase: {
			"verb 3#", "mute 5#", "status s 5#", "status-version 2#", "nice 1#", "nice -1#", "tun-mtu 1400#", "tun-mtu 1400 1400#", "tun-mtu-extra 32#", "link-mtu 1500#",
			"fragment 1300#", "mssfix 1400#", "sndbuf 9000#", "rcvbuf 9000#", "txqueuelen 100#", "mark 1#", "max-packet-size 1300#", "reneg-sec 60#", "reneg-sec 60 30#",
			"reneg-bytes 9#", "reneg-pkts 9#", "hand-window 60#", "tran-window 60#", "tls-timeout 5#", "replay-window 64#", "replay-window 64 15#",
			"route 10.0.0.0 255.0.0.0 vpn_gateway 5#", "route-ipv6 fd00::/8 fd01::1 5#", "route-metric 5#", "route-delay 5#", "route-delay 5 5#", "resolv-retry 5#",
			"connect-retry 5#", "connect-retry 5 9#", "connect-retry-max 5#", "connect-timeout 5#", "server-poll-timeout 5#", "script-security 2#", "inactive 9#", "inactive 9 9#",
			"ping 9#", "ping-restart 9#", "ping-exit 9#", "keepalive 10# 60", "keepalive 10 60#", "session-timeout 9#", "explicit-exit-notify 1#", "static-challenge x 1#",
			"shaper 1000#", "dns server 1# address 10.0.0.1", "key-direction 1#", "setenv SERVER_POLL_TIMEOUT 5#", "tcp-queue-limit 5#", "bcast-buffers 5#",
			"max-clients 5#", "max-routes-per-client 5#", "connect-freq-initial 5# 5", "connect-freq-initial 5 5#",
		},
		management: {"management-log-cache 5#"},
		server: {
			"ifconfig-pool-persist p 5#", "connect-freq 5# 5", "connect-freq 5 5#", "stale-routes-check 5#", "stale-routes-check 5 5#", "auth-gen-token 900#",
			"auth-gen-token 900 900#", "hash-size 5# 5", "hash-size 5 5#",
		},
		bridge: {"vlan-pvid 5#"},
	} {
		for _, form := range forms {
			option, _, _ := strings.Cut(form, " ")
			for _, behind := range []string{";x", ",", "s", ".5"} {
				in := strings.Replace(form, "#", behind, 1)
				want, got := verdicts(t, dir, base+in+"\n")
				if (got == "") != (want == "") {
					t.Errorf("%q: got %q, stock says %q", in, got, want)
				}
				if got != "" {
					continue
				}
				o, err := Parse([]string{"c.conf"}, Env{})
				if said := fmt.Sprintf("WARNING: %s in c.conf:", option); option != "setenv" &&
					(err != nil && !strings.Contains(err.Error(), "no-such-user") || !slices.ContainsFunc(o.Notes, func(n Note) bool { return strings.HasPrefix(n.Text, said) })) {
					t.Errorf("%q is accepted without a warning: %v", in, o.Notes)
				}
			}
			if none := regexp.MustCompile(`-?\d+#`).ReplaceAllString(form, "some"); option != "resolv-retry" {
				if _, got := verdicts(t, dir, base+none+"\n"); got == "" {
					t.Errorf("%q is accepted", none)
				}
			}
		}
	}
}
