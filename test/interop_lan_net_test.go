//go:build linux

package test

import (
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
)

// Servers on addresses of all kinds, and how the log and the status show those who call.
func TestAddresses(t *testing.T) {
	t.Parallel()
	v6 := []string{"--proto", "udp6", "--remote", "fd99::1", "1194"}
	for _, tt := range []struct {
		name           string
		server, client []string
		lines          []string // regular expressions, in the server's log
		row            string   // of the status
		refused        []string // arguments of a client that gets no answer
	}{
		{
			name: "dual stack", server: []string{"--proto", "udp6"}, row: "CLIENT_LIST,client1,10.99.0.2:",
			lines: []string{`setsockopt\(IPV6_V6ONLY=0\)$`, `UDPv6 link local \(bound\): \[AF_INET6\]\[undef\]:1194$`, `Peer Connection Initiated with \[AF_INET6\]::ffff:10\.99\.0\.2:\d+$`},
		},
		{
			name: "dual stack tcp", server: []string{"--proto", "tcp6-server"}, client: []string{"--proto", "tcp-client"}, row: "CLIENT_LIST,client1,10.99.0.2:",
			lines: []string{`setsockopt\(IPV6_V6ONLY=0\)$`, `TCP connection established with \[AF_INET6\]::ffff:10\.99\.0\.2:\d+$`, `TLS: Initial packet from \[AF_INET6\]::ffff:10\.99\.0\.2:\d+, sid`},
		},
		{
			name: "v6 only", server: []string{"--proto", "udp6", "--bind", "ipv6only"}, client: v6, row: "CLIENT_LIST,client1,fd99::2,", refused: []string{"--proto", "udp4"},
			lines: []string{`setsockopt\(IPV6_V6ONLY=1\)$`, `fd99::2 \[client1\] Peer Connection Initiated with \[AF_INET6\]fd99::2:\d+$`},
		},
		{
			name: "local", server: []string{"--local", "10.99.0.1", "--bind-dev", "eth0", "--mtu-disc", "yes"}, client: []string{"--bind-dev", "eth0"}, row: "CLIENT_LIST,client1,10.99.0.2:",
			lines: []string{`Could not determine IPv4/IPv6 protocol\. Using AF_INET$`, `Using bind-dev eth0$`, `UDPv4 link local \(bound\): \[AF_INET\]10\.99\.0\.1:1194$`},
		},
		{
			name: "local v6", server: []string{"--local", "fd99::1"}, client: v6, row: "CLIENT_LIST,client1,fd99::2,",
			lines: []string{`Could not determine IPv4/IPv6 protocol\. Using AF_INET6$`, `UDPv6 link local \(bound\): \[AF_INET6\]fd99::1:1194$`},
		},
		{
			name: "multihome", server: []string{"--multihome"}, row: "CLIENT_LIST,client1,10.99.0.2:",
			lines: []string{`Peer Connection Initiated with \[AF_INET\]10\.99\.0\.2:\d+ \(via \[AF_INET\]10\.99\.0\.1%eth0\)$`},
		},
		{
			name: "multihome dual stack", server: []string{"--multihome", "--proto", "udp6"}, row: "CLIENT_LIST,client1,10.99.0.2:",
			lines: []string{`Peer Connection Initiated with \[AF_INET6\]::ffff:10\.99\.0\.2:\d+ \(via ::ffff:10\.99\.0\.1%eth0\)$`},
		},
		{
			name: "multihome v6", server: []string{"--multihome", "--proto", "udp6"}, client: v6, row: "CLIENT_LIST,client1,fd99::2,",
			lines: []string{`Peer Connection Initiated with \[AF_INET6\]fd99::2:\d+ \(via fd99::1%eth0\)$`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			status := l.file("status")
			s := ours(t, l.server, l.serverArgs(append([]string{"--status", status, "1", "--status-version", "2"}, tt.server...)...))
			s.WaitLine(t, up, upLimit)
			if tt.refused != nil {
				bad := stock(t, l.client, l.clientArgs(append([]string{"--connect-retry-max", "1", "--hand-window", "2"}, tt.refused...)...))
				if bad.Wait(t, upLimit); strings.Contains(bad.Log(), "Initial packet") {
					t.Error("a client was answered that should not have been")
				}
			}
			c := stock(t, l.client, l.clientArgs(tt.client...))
			c.WaitLine(t, up, upLimit)
			ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
			for _, line := range tt.lines {
				if !regexp.MustCompile("(?m)" + line).MatchString(s.Log()) {
					t.Errorf("no line %q", line)
				}
			}
			content(t, status, tt.row)
			terminate(t, c)
			terminate(t, s)
		})
	}
}

// A server with two addresses answers from the one that was asked, which routing alone would not choose.
func TestMultihome(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name           string
		server, client []string
		second, proto  string
	}{
		{"v4", nil, nil, "10.77.0.1", "udp4"},
		{"v4 on a dual stack socket", []string{"--proto", "udp6"}, nil, "10.77.0.1", "udp4"},
		{"v6", []string{"--proto", "udp6"}, nil, "fd77::1", "udp6"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.server.Run(t, "ip", "addr", "add", "10.77.0.1/32", "dev", "lo")
			l.server.Run(t, "ip", "addr", "add", "fd77::1/128", "dev", "lo", "nodad")
			l.client.Run(t, "ip", "route", "add", "10.77.0.1/32", "via", "10.99.0.1")
			l.client.Run(t, "ip", "route", "add", "fd77::1/128", "via", "fd99::1")
			s := ours(t, l.server, l.serverArgs(append([]string{"--multihome"}, tt.server...)...))
			s.WaitLine(t, up, upLimit)
			c := stock(t, l.client, l.clientArgs("--proto", tt.proto, "--remote", tt.second, "1194"))
			c.WaitLine(t, up, upLimit)
			ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
			ping(t, l.server, "10.8.0.2", 3, 0, "0.1")
			if got := s.WaitLine(t, "Peer Connection Initiated", upLimit); !strings.HasSuffix(got, tt.second+"%lo)") && !strings.Contains(got, tt.second+"%eth0)") {
				t.Errorf("line %q", got)
			}
			terminate(t, c)
			terminate(t, s)
		})
	}
}

// Of two links between the hosts, the client's packets take the second and its address is on the first: routes lead answers over
// the first, and same-interface sends them back over the second.
func TestMultihomeInterface(t *testing.T) {
	t.Parallel()
	const carried = 20
	for _, tt := range []struct {
		name    string
		options []string
		peers   bool // without a pull: the listening peer is no server with clients
		stocks  bool // the server is stock's
		back    bool // over the second link
	}{
		{"routed", nil, false, false, false},
		{"same interface", []string{"same-interface"}, false, false, true},
		{"same interface on a dual stack socket", []string{"same-interface", "--proto", "udp6"}, false, false, true},
		{"same interface of a peer", []string{"same-interface"}, true, false, true},
		{"routed by stock", nil, false, true, false},
		{"same interface of stock", []string{"same-interface"}, false, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			start := ours
			if tt.stocks {
				program := daemontest.RequireOpenVPN27(t)
				start = func(t testing.TB, n *daemontest.Namespace, args []string) *daemontest.Process {
					return n.Start(t, program, args...)
				}
			}
			l := newLab(t)
			daemontest.Veth(t, l.server, "eth1", []string{"10.98.0.1/24"}, l.client, "eth1", []string{"10.98.0.2/24"})
			for _, n := range []*daemontest.Namespace{l.server, l.client} {
				n.Run(t, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.eth0.rp_filter=0", "net.ipv4.conf.eth1.rp_filter=0")
			}
			server, client := l.serverArgs(), l.clientArgs("--remote", "10.98.0.1", "1194")
			if tt.peers {
				both := []string{"--dev", "tun", "--ca", l.file("ca.crt"), "--verb", "3"}
				server = append(both[:len(both):len(both)], "--tls-server", "--dh", "none", "--cert", l.file("server.crt"), "--key", l.file("server.key"), "--ifconfig", "10.8.0.1", "10.8.0.2")
				client = append(both, "--tls-client", "--remote", "10.98.0.1", "--cert", l.file("client.crt"), "--key", l.file("client.key"), "--ifconfig", "10.8.0.2", "10.8.0.1")
			}
			s := start(t, l.server, append(append(server, "--multihome"), tt.options...))
			s.WaitLine(t, "link remote: ", upLimit)
			c := stock(t, l.client, append(client, "--local", "10.99.0.2", "--proto", "udp4"))
			c.WaitLine(t, up, upLimit)
			before := sentPackets(t, l.server, "eth1")
			ping(t, l.client, "10.8.0.1", carried, 0, "0.02")
			if sent := sentPackets(t, l.server, "eth1") - before; (sent >= carried) != tt.back {
				t.Errorf("%d packets left over the second link, want all: %v", sent, tt.back)
			}
			terminate(t, c)
			terminate(t, s)
		})
	}
}

// sentPackets is how many packets a device has sent.
func sentPackets(t *testing.T, n *daemontest.Namespace, dev string) int {
	t.Helper()
	text := n.LinkFile(t, dev, "statistics/tx_packets")
	sent, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

// passtos: the type of service of what is carried is that of the outer packets, in both directions.
func TestPassTOS(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	s := ours(t, l.server, l.serverArgs("--passtos"))
	s.WaitLine(t, up, upLimit)
	c := ours(t, l.client, l.clientArgs("--passtos"))
	c.WaitLine(t, up, upLimit)
	seen := sniffTOS(t, l.client, "eth0")
	l.client.Run(t, "ping", "-n", "-c", "5", "-i", "0.05", "-Q", "0xb8", "10.8.0.1")
	if out, in := seen(0xb8); out != 5 || in != 5 {
		t.Errorf("%d outer packets out and %d in with the type of service, want 5 and 5", out, in)
	}
	terminate(t, c)
	terminate(t, s)
}

// sniffTOS watches a device. The result counts the IPv4 packets out and in with a type of service so far.
func sniffTOS(t *testing.T, n *daemontest.Namespace, dev string) func(tos byte) (out, in int) {
	t.Helper()
	var fd int
	n.Do(t, func() (err error) {
		all := uint16(unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8)
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(all)); err != nil {
			return err
		}
		ifi, err := net.InterfaceByName(dev)
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: ifi.Index})
	})
	t.Cleanup(func() { _ = unix.Close(fd) })
	return func(tos byte) (out, in int) {
		b := make([]byte, 2000)
		for {
			k, from, err := unix.Recvfrom(fd, b, 0)
			if err != nil {
				return out, in
			}
			if k < 20 || b[0]>>4 != 4 || b[1] != tos {
				continue
			}
			if from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING {
				out++
			} else {
				in++
			}
		}
	}
}

// The socket options of a configuration are those of the sockets, of server and client: marked packets alone get through.
func TestSocketOptionsReachSockets(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"udp", "tcp"} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			for _, n := range []*daemontest.Namespace{l.server, l.client} {
				n.Run(t, "ip", "rule", "add", "fwmark", "7", "lookup", "main", "prio", "10")
				n.Run(t, "ip", "rule", "add", "to", "10.99.0.0/24", "prohibit", "prio", "20")
			}
			opts := []string{"--mark", "7", "--sndbuf", "50000", "--rcvbuf", "60000", "--bind-dev", "eth0", "--mtu-disc", "maybe"}
			server, client := append([]string{"--proto", proto}, opts...), append([]string{"--proto", proto}, opts...)
			if proto == "tcp" {
				server = append(server, "--tcp-nodelay", "--tcp-queue-limit", "128")
				client = append(client, "--socket-flags", "TCP_NODELAY")
			}
			s := ours(t, l.server, l.serverArgs(server...))
			s.WaitLine(t, up, upLimit)
			c := ours(t, l.client, l.clientArgs(client...))
			c.WaitLine(t, up, upLimit)
			ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
			if out, err := l.client.TryRun("ping", "-n", "-c", "1", "-W", "1", "10.99.0.1"); err == nil {
				t.Errorf("packets without a mark get through as well:\n%s", out)
			}
			for _, p := range []*daemontest.Process{s, c} {
				p.WaitLine(t, "->120000] S=[", upLimit)
				p.WaitLine(t, "->100000]", upLimit)
				p.WaitLine(t, "Using bind-dev eth0", upLimit)
			}
			if proto == "tcp" {
				c.WaitLine(t, "socket-flags TCP_NODELAY", upLimit)
			}
			terminate(t, c)
			terminate(t, s)
		})
	}
}
