//go:build linux

package test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
)

// lan is a lab with a second client and a host in the server's own network.
//
//	          br0 10.8.0.1/24 ── eth9 ──── eth0  host 10.8.0.9/24
//	server  <
//	          eth0 10.99.0.1/24 ────────── eth0  client  10.99.0.2/24
//	          eth1 10.98.0.1/24 ────────── eth0  client2 10.98.0.2/24
type lan struct {
	*lab
	client2, host *daemontest.Namespace
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	l := &lan{lab: newLab(t)}
	l.client2 = daemontest.NewNamespace(t)
	daemontest.Veth(t, l.server, "eth1", []string{"10.98.0.1/24", "fd98::1/64"}, l.client2, "eth0", []string{"10.98.0.2/24", "fd98::2/64"})
	l.issue(t, "client2", pki.Spec{Name: "client2"})
	return l
}

// bridge makes br0 in the server's namespace, with the host and a tap device tap0 in it.
func (l *lan) bridge(t *testing.T) {
	t.Helper()
	l.host = daemontest.NewNamespace(t)
	daemontest.Veth(t, l.server, "eth9", nil, l.host, "eth0", []string{"10.8.0.9/24"})
	for _, cmd := range []string{
		"ip link add br0 type bridge", "ip link set eth9 master br0", "ip addr add 10.8.0.1/24 dev br0",
		"ip tuntap add tap0 mode tap", "ip link set tap0 master br0", "ip link set tap0 up", "ip link set br0 up",
	} {
		l.server.Run(t, strings.Fields(cmd)...)
	}
}

// plainServerArgs are the options of a server, without those of its addresses.
func (l *lan) plainServerArgs(extra ...string) []string {
	return append([]string{
		"--dh", "none", "--verb", "3", "--keepalive", "10", "60",
		"--ca", l.file("ca.crt"), "--cert", l.file("server.crt"), "--key", l.file("server.key"),
	}, extra...)
}

// args2 are the options of the second client.
func (l *lan) args2(extra ...string) []string {
	args := l.clientArgs(append(extra, "--remote", "10.98.0.1", "1194")...)
	for i, a := range args {
		switch a {
		case l.file("client.crt"):
			args[i] = l.file("client2.crt")
		case l.file("client.key"):
			args[i] = l.file("client2.key")
		}
	}
	return args
}

// tap makes arguments of a tap device of arguments of a tun device.
func tap(args []string) []string {
	for i, a := range args {
		if a == "tun" {
			args[i] = "tap"
		}
	}
	return args
}

// mac is the hardware address of a device.
func mac(t *testing.T, n *daemontest.Namespace, dev string) string {
	t.Helper()
	return n.LinkFile(t, dev, "address")
}

// eventually waits until f returns no complaint.
func eventually(t *testing.T, limit time.Duration, f func() string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		complaint := f()
		if complaint == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Error(complaint)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// content waits until a file contains all texts.
func content(t *testing.T, path string, texts ...string) {
	t.Helper()
	eventually(t, 5*time.Second, func() string {
		b, _ := os.ReadFile(path)
		for _, s := range texts {
			if !strings.Contains(string(b), s) {
				return fmt.Sprintf("%s has no %q:\n%s", filepath.Base(path), s, b)
			}
		}
		return ""
	})
}

// learnScript writes a learn-address script that notes its arguments, and returns its path and that of the notes.
func (l *lab) learnScript(t *testing.T) (script, notes string) {
	t.Helper()
	notes = l.file("learned")
	script = l.write(t, "learn.sh", []byte("#!/bin/sh\necho \"$@\" >> "+notes+"\n"))
	if err := os.Chmod(script, 0o700); err != nil {
		t.Fatal(err)
	}
	return script, notes
}

// Two clients on a tap server: addresses from the pool, pings through the device and between the clients, broadcasts,
// learned stations in the log, the script and the status.
func TestTapServer(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{false, true} {
		t.Run(fmt.Sprintf("client-to-client=%v", direct), func(t *testing.T) {
			t.Parallel()
			l := newLAN(t)
			script, notes := l.learnScript(t)
			status := l.file("status")
			args := l.plainServerArgs("--dev", "tap", "--server", "10.8.0.0", "255.255.255.0", "--server-ipv6", "fd08::/64",
				"--script-security", "2", "--learn-address", script, "--status", status, "1", "--status-version", "2")
			if direct {
				args = append(args, "--client-to-client")
			} else {
				l.server.Run(t, "sysctl", "-q", "net.ipv4.icmp_echo_ignore_broadcasts=0")
			}
			s := ours(t, l.server, args)
			s.WaitLine(t, up, upLimit)
			c1 := stock(t, l.client, tap(l.clientArgs()))
			c1.WaitLine(t, up, upLimit)
			c1.WaitLine(t, "'PUSH_REPLY,tun-ipv6,route-gateway 10.8.0.1,ping 10,ping-restart 60,ifconfig-ipv6 fd08::1000/64 fd08::1,ifconfig 10.8.0.2 255.255.255.0,peer-id 0", upLimit)
			c2 := ours(t, l.client2, tap(l.args2()))
			c2.WaitLine(t, up, upLimit)
			for _, n := range []*daemontest.Namespace{l.client, l.client2} {
				ping(t, n, "10.8.0.1", 3, 0, "0.1")
				await(t, "the address is no longer tentative", upLimit, func() bool { missing, _ := unanswered(n, "fd08::1", 1, "0.1"); return missing == 0 })
				ping(t, n, "fd08::1", 2, 1, "0.1")
			}
			ping(t, l.server, "10.8.0.2", 3, 0, "0.1")
			ping(t, l.server, "10.8.0.3", 3, 0, "0.1")
			m1, m2 := mac(t, l.client, "tap0"), mac(t, l.client2, "tap0")
			if direct {
				l.client2.Run(t, "sysctl", "-q", "net.ipv4.icmp_echo_ignore_broadcasts=0")
				ping(t, l.client, "10.8.0.3", 3, 0, "0.1")
				l.client2.Run(t, "ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", "-s", "1450", "10.8.0.2")
				if got := l.client.Run(t, "ip", "neigh", "show", "10.8.0.3"); !strings.Contains(got, m2) {
					t.Errorf("neighbour of the first client is %q, not %s", got, m2)
				}
			}
			if out, err := l.client.TryRun("ping", "-n", "-b", "-c", "2", "-W", "2", "10.8.0.255"); err != nil {
				t.Errorf("broadcast: %v\n%s", err, out)
			}
			s.WaitLine(t, "client1/10.99.0.2:", upLimit)
			s.WaitLine(t, "MULTI: Learn: "+m1+"@0 -> client1/10.99.0.2:", upLimit)
			s.WaitLine(t, "MULTI: Learn: "+m2+"@0 -> client2/10.98.0.2:", upLimit)
			content(t, notes, "add "+m1+"@0 client1\n", "add "+m2+"@0 client2\n")
			content(t, status, "ROUTING_TABLE,"+m1+"@0,client1,10.99.0.2:", "ROUTING_TABLE,"+m2+"@0,client2,10.98.0.2:")
			terminate(t, c1)
			terminate(t, c2)
			terminate(t, s)
		})
	}
}

// A tap client of ours on the stock server.
func TestTapClient(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	s := stock(t, l.server, l.plainServerArgs("--dev", "tap", "--server", "10.8.0.0", "255.255.255.0", "--client-to-client"))
	s.WaitLine(t, up, upLimit)
	c1 := ours(t, l.client, tap(l.clientArgs("--lladdr", "02:00:00:00:00:11")))
	c2 := stock(t, l.client2, tap(l.args2()))
	c1.WaitLine(t, up, upLimit)
	c2.WaitLine(t, up, upLimit)
	if got := mac(t, l.client, "tap0"); got != "02:00:00:00:00:11" {
		t.Errorf("hardware address %s", got)
	}
	ping(t, l.client, "10.8.0.1", 3, 0, "0.1")
	ours, theirs := strings.Fields(l.client.Run(t, "ip", "-4", "-o", "addr", "show", "tap0"))[3], strings.Fields(l.client2.Run(t, "ip", "-4", "-o", "addr", "show", "tap0"))[3]
	if !strings.HasSuffix(ours, "/24") {
		t.Errorf("address %s", ours)
	}
	ping(t, l.client, strings.TrimSuffix(theirs, "/24"), 3, 0, "0.1")
	ping(t, l.client2, strings.TrimSuffix(ours, "/24"), 3, 0, "0.1")
	terminate(t, c1)
	terminate(t, c2)
}

// The forms of server-bridge: the tap device is a port of a bridge, clients are hosts in the network behind it.
func TestServerBridge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		bridge  []string
		push    string
		dynamic bool // the address comes from the pool
	}{
		{"pool", []string{"10.8.0.4", "255.255.255.0", "10.8.0.50", "10.8.0.60"}, "PUSH_REPLY,route-gateway 10.8.0.4,ping 10,ping-restart 60,ifconfig 10.8.0.50 255.255.255.0,peer-id 0", true},
		{"dhcp", nil, "PUSH_REPLY,route-gateway dhcp,ping 10,ping-restart 60,peer-id 0", false},
		{"nogw", []string{"nogw"}, "PUSH_REPLY,ping 10,ping-restart 60,peer-id 0", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := newLAN(t)
			l.bridge(t)
			s := ours(t, l.server, l.plainServerArgs(append([]string{"--dev", "tap0", "--server-bridge"}, tt.bridge...)...))
			s.WaitLine(t, up, upLimit)
			c1 := stock(t, l.client, tap(l.clientArgs()))
			c1.WaitLine(t, up, upLimit)
			c1.WaitLine(t, tt.push, upLimit)
			c2 := ours(t, l.client2, tap(l.args2()))
			c2.WaitLine(t, up, upLimit)
			if !tt.dynamic {
				l.client.Run(t, "ip", "addr", "add", "10.8.0.50/24", "dev", "tap0")
				l.client2.Run(t, "ip", "addr", "add", "10.8.0.51/24", "dev", "tap0")
				l.client.Run(t, "ip", "link", "set", "tap0", "up")
				l.client2.Run(t, "ip", "link", "set", "tap0", "up")
			}
			for _, n := range []*daemontest.Namespace{l.client, l.client2} {
				ping(t, n, "10.8.0.9", 3, 0, "0.1")
				ping(t, n, "10.8.0.1", 2, 0, "0.1")
			}
			for _, a := range []string{"10.8.0.50", "10.8.0.51"} {
				if !strings.Contains(l.client.Run(t, "ip", "-o", "addr")+l.client2.Run(t, "ip", "-o", "addr"), a+"/24") {
					t.Errorf("nobody has %s", a)
				}
				ping(t, l.host, a, 3, 0, "0.1")
			}
			terminate(t, c1)
			terminate(t, c2)
			terminate(t, s)
		})
	}
}

// rawWire is a raw socket on a device: it sends frames of a type for experiments and sees those that come in, each with a
// mark.
type rawWire struct{ fd, index int }

func newRawWire(t *testing.T, n *daemontest.Namespace, dev string) *rawWire {
	t.Helper()
	w := &rawWire{}
	n.Do(t, func() (err error) {
		all := int(uint16(unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8))
		if w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all); err != nil {
			return err
		}
		ifi, err := net.InterfaceByName(dev)
		if err != nil {
			return err
		}
		w.index = ifi.Index
		return errors.Join(unix.SetsockoptInt(w.fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.Bind(w.fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: ifi.Index}))
	})
	t.Cleanup(func() { _ = unix.Close(w.fd) })
	return w
}

// send sends a broadcast, with a tag unless vlan is 0.
func (w *rawWire) send(t *testing.T, vlan int, mark byte) {
	t.Helper()
	f := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, mark}
	if vlan > 0 {
		f = append(f, 0x81, 0, byte(vlan>>8), byte(vlan))
	}
	f = append(f, 0x88, 0xb5, mark)
	f = append(f, make([]byte, 60)...)
	if err := unix.Sendto(w.fd, f, 0, &unix.SockaddrLinklayer{Ifindex: w.index, Halen: 6}); err != nil {
		t.Error(err)
	}
}

// seen are the marks that came in, with their VLANs, "1" or "2@7", in order.
func (w *rawWire) seen() []string {
	var all []string
	b, oob := make([]byte, 2000), make([]byte, 100)
	for {
		n, oobn, _, from, err := unix.Recvmsg(w.fd, b, oob, 0)
		if err != nil {
			slices.Sort(all)
			return all
		}
		if n < 15 || b[12] != 0x88 || b[13] != 0xb5 || from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		text := fmt.Sprint(b[14])
		msgs, _ := unix.ParseSocketControlMessage(oob[:oobn])
		for _, m := range msgs { // the kernel takes the tag off and tells it aside: 4 status, 4+4 lengths, 2+2 offsets, 2 tag
			if m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 20 {
				if vlan := binary.NativeEndian.Uint16(m.Data[16:]) & 0xfff; vlan != 0 {
					text += fmt.Sprintf("@%d", vlan)
				}
			}
		}
		all = append(all, text)
	}
}

// vlan-tagging: clients are access ports, the device is a port that carries all VLANs. The stock server is asked the same
// questions.
func TestVLAN(t *testing.T) {
	t.Parallel()
	servers := programs
	for _, tt := range []struct {
		accept                   string
		client1, client2, device []string // what each sees
	}{
		{"all", []string{"2"}, []string{"1", "3"}, []string{"11@7", "12"}},
		{"tagged", []string{"2"}, []string{"3"}, []string{"11@7", "12@3"}},
		{"untagged", nil, []string{"1"}, []string{"12"}},
	} {
		for name, start := range servers {
			t.Run(name+" "+tt.accept, func(t *testing.T) {
				t.Parallel()
				l := newLAN(t)
				ccd := l.file("ccd")
				if err := os.Mkdir(ccd, 0o700); err != nil {
					t.Fatal(err)
				}
				l.write(t, "ccd/client1", []byte("vlan-pvid 7\n"))
				status := l.file("status")
				s := start(t, l.server, l.plainServerArgs("--dev", "tap", "--server", "10.8.0.0", "255.255.255.0", "--client-to-client",
					"--vlan-tagging", "--vlan-accept", tt.accept, "--vlan-pvid", "3", "--client-config-dir", ccd, "--status", status, "1", "--status-version", "2"))
				s.WaitLine(t, up, upLimit)
				c1 := stock(t, l.client, tap(l.clientArgs()))
				c1.WaitLine(t, up, upLimit)
				c2 := stock(t, l.client2, tap(l.args2()))
				c2.WaitLine(t, up, upLimit)
				time.Sleep(1200 * time.Millisecond) // stock servers take data only when the keys are old enough
				device, one, two := newRawWire(t, l.server, "tap0"), newRawWire(t, l.client, "tap0"), newRawWire(t, l.client2, "tap0")
				device.send(t, 0, 1)
				device.send(t, 7, 2)
				device.send(t, 3, 3)
				device.send(t, 9, 4)
				one.send(t, 0, 11)
				two.send(t, 0, 12)
				two.send(t, 7, 13) // clients send no tags
				time.Sleep(500 * time.Millisecond)
				for _, x := range []struct {
					name string
					w    *rawWire
					want []string
				}{{"client 1", one, tt.client1}, {"client 2", two, tt.client2}, {"device", device, tt.device}} {
					if diff := cmp.Diff(x.want, x.w.seen()); diff != "" {
						t.Errorf("%s (-want +got):\n%s", x.name, diff)
					}
				}
				content(t, status, "02:00:00:00:00:0b@7,client1", "02:00:00:00:00:0c@3,client2")
				terminate(t, c1)
				terminate(t, c2)
				terminate(t, s)
			})
		}
	}
}

// stale-routes-check forgets stations that were silent, and tells the script; they are learned again.
// max-routes-per-client bounds how many there are behind one client.
func TestStations(t *testing.T) {
	t.Parallel()
	l := newLAN(t)
	script, notes := l.learnScript(t)
	s := ours(t, l.server, l.plainServerArgs("--dev", "tap", "--server", "10.8.0.0", "255.255.255.0", "--script-security", "2",
		"--learn-address", script, "--stale-routes-check", "4", "1", "--max-routes-per-client", "2", "--verb", "3"))
	s.WaitLine(t, "Initializing stale route check timer to run every 1 seconds and to removing routes with activity timeout older than 4 seconds", upLimit)
	s.WaitLine(t, up, upLimit)
	c := stock(t, l.client, tap(l.clientArgs()))
	c.WaitLine(t, up, upLimit)
	l.client.Run(t, "sysctl", "-qw", "net.ipv6.conf.tap0.disable_ipv6=1") // no frames of its own accord
	ping(t, l.client, "10.8.0.1", 2, 0, "0.1")
	for _, n := range []*daemontest.Namespace{l.client, l.server} {
		n.Run(t, "ip", "neigh", "flush", "dev", "tap0") // or the kernels ask for each other after five seconds
	}
	own := mac(t, l.client, "tap0")
	content(t, notes, "add "+own+"@0 client1\n", "delete "+own+"@0\n")
	for _, m := range []string{"02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"} {
		l.client.Run(t, "ip", "link", "set", "tap0", "address", m)
		_, _ = l.client.TryRun("ping", "-n", "-c", "1", "-W", "1", "10.8.0.1")
	}
	content(t, notes, "add 02:00:00:00:00:01@0 client1\n", "add 02:00:00:00:00:02@0 client1\n")
	s.WaitLine(t, "MULTI ROUTE: route quota (2) exceeded for client1/10.99.0.2:", upLimit)
	terminate(t, c)
	terminate(t, s)
}
