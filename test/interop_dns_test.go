//go:build linux

package test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// The script of dns-updown runs as often as stock's, in the same order among the scripts, with the same variables, for both
// ways to push resolvers, over a restart that keeps the device. The other scripts hear of resolvers what stock tells them.
func TestDNSUpdownLikeStock(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		push     []string
		status   string
		restarts bool
	}{
		{"dns", []string{
			"dns server 1 address 192.0.2.53 198.51.100.53:5353", "dns server 1 resolve-domains corp.example", "dns server 1 dnssec yes", "dns server 1 transport DoT",
			"dns server 1 sni x.example", "dns server 2 address 192.0.2.54", "dns search-domains a.example b.example", "dhcp-option DNS 198.51.100.1", "dhcp-option NTP 192.0.2.3",
		}, "0", true},
		{"dhcp-option", []string{"dhcp-option DNS 198.51.100.1", "dhcp-option DOMAIN x.example", "dhcp-option DOMAIN-SEARCH y.example", "dhcp-option DNS 198.51.100.2"}, "0", false},
		{"search domains alone", []string{"dhcp-option DOMAIN x.example"}, "0", false},
		{"nothing", []string{"route 10.9.0.0 255.255.0.0"}, "0", false},
		{"failing", []string{"dhcp-option DNS 198.51.100.1"}, "3", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			args := []string{}
			for _, p := range tt.push {
				args = append(args, "--push", p)
			}
			s := ours(t, l.server, l.serverArgs(args...))
			s.WaitLine(t, up, upLimit)
			record := l.file("record")
			dns := l.script(t, "dns.sh", `{ echo "$script_type $*"; env | grep -E '^(dns_|dev|script_context|foreign|ifconfig)' | sort; } >>`+record+`; exit `+tt.status)
			other := l.script(t, "other.sh", `{ echo "$script_type"; env | grep -E '^(dns_|foreign)' | sort; } >>`+record)
			notes := make(map[string]string)
			for who, start := range map[string]starter{"stock": stock27, "ours": ours} {
				args := l.clientArgs("--script-security", "2", "--persist-tun", "--connect-retry", "1", "1", "--dns-updown", dns, "--up", other, "--down", other, "--route-up", other, "--route-pre-down", other)
				if who == "ours" {
					args = append(args, "--compat", "2.7")
				}
				c := start(t, l.client, args)
				c.WaitLine(t, up, upLimit)
				if tt.restarts {
					from := c.Lines()
					c.Signal(t, syscall.SIGUSR1)
					c.WaitLineAfter(t, from, up, upLimit)
				}
				terminate(t, c)
				notes[who] = fileText(record)
				if ran := strings.Contains(notes[who], "dns-up"); ran != strings.Contains(c.Log(), "dns up command exited with status "+tt.status) {
					t.Errorf("%s: no line about the status\n%s", who, c.Log())
				}
				_ = os.Remove(record)
			}
			if diff := cmp.Diff(notes["stock"], notes["ours"]); diff != "" {
				t.Errorf("calls (-stock +ours):\n%s", diff)
			}
		})
	}
}

// Without a script the resolvers of the host are those of the tunnel while it is up, also after updates and restarts, and as
// before at every end, after a kill with the next start.
func TestResolversOfTheHost(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const before = "# mine\nnameserver 192.0.2.1\nsearch home.example\n"
	conf, sock := l.write(t, "resolv.conf", []byte(before)), l.file("server.sock")
	s := ours(t, l.server, l.serverArgs("--management", sock, "unix", "--push", "dns server 1 address 198.51.100.53", "--push", "dns search-domains corp.example"))
	s.WaitLine(t, up, upLimit)
	// The file is mounted over the host's for this daemon alone. There it is nothing that could be replaced, as in containers.
	start := func(args ...string) *daemontest.Process {
		t.Helper()
		script := l.script(t, "mounted.sh", `mount --bind `+conf+` /etc/resolv.conf && exec "$@"`)
		all := append([]string{"-m", script, program(t)}, l.clientArgs(args...)...)
		p := l.client.Start(t, "unshare", all...)
		p.WaitLine(t, up, upLimit)
		return p
	}
	expect := func(what string, want string) {
		t.Helper()
		await(t, what, upLimit, func() bool {
			var inForce []string
			for line := range strings.Lines(fileText(conf)) {
				if !strings.HasPrefix(line, "#") {
					inForce = append(inForce, strings.TrimSpace(line))
				}
			}
			return strings.Join(inForce, "|") == want
		})
	}
	const ofTunnel, own = "nameserver 198.51.100.53|search corp.example", "nameserver 192.0.2.1|search home.example"
	plain := start()
	expect("2.6 leaves the resolvers alone", own)
	terminate(t, plain)
	c := start("--compat", "2.7")
	expect("set", ofTunnel)
	port := manage(t, sock)
	do(t, port, "push-update-broad", "dns server 1 address 198.51.100.54")
	expect("an update", "nameserver 198.51.100.54")
	from := c.Lines()
	c.Signal(t, syscall.SIGUSR1)
	c.WaitLineAfter(t, from, up, upLimit)
	expect("after a restart", ofTunnel)
	terminate(t, c)
	if got := fileText(conf); got != before {
		t.Errorf("after the end:\n%s", got)
	}
	killed := start("--dns-updown", "force", "--script-security", "2", "--up", "/bin/true")
	expect("forced", ofTunnel)
	killed.Signal(t, syscall.SIGKILL)
	killed.Wait(t, upLimit)
	expect("left by the killed daemon", ofTunnel)
	again := start("--compat", "2.7", "--dns-updown", "disable")
	again.WaitLine(t, "NOTE: restoring resolvers of process", upLimit)
	expect("restored by the next", own)
	terminate(t, again)
	if got := fileText(conf); got != before {
		t.Errorf("after the next start:\n%s", got)
	}
}
