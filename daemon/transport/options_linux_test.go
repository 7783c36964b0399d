package transport

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// Every option reaches the socket: of a server and of a client, UDP and TCP, over both IP versions.
func TestSocketOptions(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root for SO_MARK")
	}
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		for _, tcp := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s tcp=%v", addr, tcp), func(t *testing.T) {
				var lines []string
				s := Socket{
					SndBuf: 50000, RcvBuf: 60000, MTUDisc: MTUDiscYes, TOS: 0x10, Mark: 77, BindDev: "lo",
					Log: func(_ logging.Level, format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) },
				}
				var fds []int
				local := netip.MustParseAddrPort(addr)
				if tcp {
					ln, err := ListenTCP(ListenConfig{Local: local, Socket: s})
					if err != nil {
						t.Fatal(err)
					}
					defer ln.Close()
					accepted := make(chan Link, 1)
					go func() {
						l, _ := ln.Accept()
						accepted <- l
					}()
					l, err := DialTCP(t.Context(), DialConfig{Remote: ln.Addr(), Socket: s})
					if err != nil {
						t.Fatal(err)
					}
					closeLater(t, l)
					a := <-accepted
					closeLater(t, a)
					fds = []int{l.(*TCPLink).fd, a.(*TCPLink).fd}
				} else {
					l, err := ListenUDP(ListenConfig{Local: local, Socket: s})
					if err != nil {
						t.Fatal(err)
					}
					closeLater(t, l)
					d, err := DialUDP(t.Context(), DialConfig{Remote: l.LocalAddr(), Socket: s})
					if err != nil {
						t.Fatal(err)
					}
					closeLater(t, d)
					fds = []int{l.(*udpLink).fd, d.(*udpLink).fd}
				}
				for _, fd := range fds {
					get := func(level, opt int) int {
						n, err := unix.GetsockoptInt(fd, level, opt)
						if err != nil {
							t.Error(err)
						}
						return n
					}
					dev, err := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
					if err != nil || dev != "lo" {
						t.Errorf("bound to device %q: %v", dev, err)
					}
					level, tos, disc := unix.IPPROTO_IP, unix.IP_TOS, unix.IP_MTU_DISCOVER
					if local.Addr().Is6() {
						level, tos, disc = unix.IPPROTO_IPV6, unix.IPV6_TCLASS, unix.IPV6_MTU_DISCOVER
					}
					got := []int{
						get(unix.SOL_SOCKET, unix.SO_SNDBUF), get(unix.SOL_SOCKET, unix.SO_RCVBUF), get(unix.SOL_SOCKET, unix.SO_MARK),
						get(level, disc), get(level, tos),
					}
					if diff := cmp.Diff([]int{100000, 120000, 77, unix.IP_PMTUDISC_DO, 0x10}, got); diff != "" {
						t.Errorf("SNDBUF, RCVBUF, MARK, MTU_DISCOVER, TOS (-want +got):\n%s", diff)
					}
					if tcp && get(unix.IPPROTO_TCP, unix.TCP_NODELAY) != 1 {
						t.Error("TCP_NODELAY is off")
					}
				}
				if !slices.Contains(lines, "Using bind-dev lo") {
					t.Errorf("log %q", lines)
				}
			})
		}
	}
}

// The type of service of a peer goes with its packets, single ones and trains.
func TestTOS(t *testing.T) {
	for _, tt := range []struct {
		listen, dial string
		v6           bool // family of the receiver
	}{{"127.0.0.1:0", "127.0.0.1:0", false}, {"[::1]:0", "[::1]:0", true}, {"127.0.0.1:0", "[::]:0", false}} {
		t.Run(tt.listen+" from "+tt.dial, func(t *testing.T) {
			network, level, opt := "udp4", unix.IPPROTO_IP, unix.IP_RECVTOS
			if tt.v6 {
				network, level, opt = "udp6", unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS
			}
			pc, err := net.ListenPacket(network, tt.listen)
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			raw, err := pc.(*net.UDPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			if e := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), level, opt, 1) }); e != nil || err != nil {
				t.Fatal(e, err)
			}
			l, err := ListenUDP(ListenConfig{Local: netip.MustParseAddrPort(tt.dial), Family: FamilyIPv6})
			if err != nil {
				t.Fatal(err)
			}
			closeLater(t, l)
			to := Peer{Addr: pc.LocalAddr().(*net.UDPAddr).AddrPort(), TOS: 0xb8}
			for _, pkts := range [][][]byte{packets(10), packets(repeat(10, 3)...)} {
				if err := l.Send(to, pkts); err != nil {
					t.Fatal(err)
				}
				for range pkts {
					oob := make([]byte, 64)
					_, n, _, _, err := pc.(*net.UDPConn).ReadMsgUDP(make([]byte, 100), oob)
					if err != nil {
						t.Fatal(err)
					}
					msgs, err := unix.ParseSocketControlMessage(oob[:n])
					if err != nil || len(msgs) != 1 || msgs[0].Data[0] != 0xb8 {
						t.Errorf("control messages %v, %v", msgs, err)
					}
				}
			}
		})
	}
}

func TestTOSOf(t *testing.T) {
	for _, tt := range []struct {
		packet []byte
		want   uint8
	}{{[]byte{0x45, 0xb8}, 0xb8}, {[]byte{0x6b, 0x80}, 0xb8}, {[]byte{0x45}, 0}, {nil, 0}, {[]byte{0, 1}, 0}} {
		if got := TOSOf(tt.packet); got != tt.want {
			t.Errorf("%x: %x, want %x", tt.packet, got, tt.want)
		}
	}
	a, b := []byte{0x45, 1}, []byte{0x45, 2}
	if n, tos := TOSRun([][]byte{a, a, b, a}); n != 2 || tos != 1 {
		t.Errorf("run of %d with %d", n, tos)
	}
}
