package tun_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/tun"
	"github.com/moongate-vpn/moongate/daemon/tun/tuntest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backEnd opens one kind of device inside a namespace.
type backEnd struct {
	name string
	cfg  tun.Config
	want int // batch size
}

var backEnds = []backEnd{
	{"offload", tun.Config{Name: "tun"}, tun.MaxBatch},
	{"plain", tun.Config{Name: "tun", DisableOffload: true}, 1},
	{"plain, own node", tun.Config{Name: "tun", DisableOffload: true, Node: "/dev/net/../net/tun"}, 1},
	{"tap", tun.Config{Name: "tap", Type: tun.TAP}, 1},
}

// open opens a device in the namespace.
func open(t testing.TB, ns *daemontest.Namespace, cfg tun.Config) tun.Device {
	t.Helper()
	var d tun.Device
	ns.Do(t, func() (err error) {
		d, err = tun.Open(cfg)
		return err
	})
	t.Cleanup(func() { _ = d.Close() })
	return d
}

// start runs f until the device is closed and waits for it at the end of the test.
func start(t testing.TB, d tun.Device, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	t.Cleanup(func() {
		_ = d.Close()
		<-done
	})
}

// buffers are what a reader needs.
func buffers(d tun.Device) ([][]byte, []int) {
	bufs, sizes := make([][]byte, d.BatchSize()), make([]int, d.BatchSize())
	for i := range bufs {
		bufs[i] = make([]byte, tun.Offset+2048)
	}
	return bufs, sizes
}

// Packets of the system come out of Read, packets given to Write go into the system, whatever the back end.
func TestEcho(t *testing.T) {
	for _, be := range backEnds {
		t.Run(be.name, func(t *testing.T) {
			ns := daemontest.NewNamespace(t)
			d := open(t, ns, be.cfg)
			if d.BatchSize() != be.want {
				t.Errorf("batch size %d, want %d", d.BatchSize(), be.want)
			}
			if want := be.cfg.Type.String() + "0"; d.Name() != want {
				t.Errorf("name %s, want the first free one, %s", d.Name(), want)
			}
			if d.TAP() != (be.cfg.Type == tun.TAP) {
				t.Errorf("TAP %v", d.TAP())
			}
			ns.Run(t, "ip", "link", "set", d.Name(), "up", "mtu", "1400")
			ns.Run(t, "ip", "addr", "add", "10.7.0.1/24", "dev", d.Name())
			if d.TAP() {
				ns.Run(t, "ip", "neigh", "add", "10.7.0.2", "lladdr", "02:00:00:00:00:02", "dev", d.Name())
			}
			ns.Do(t, func() error {
				mtu, err := d.MTU()
				if mtu != 1400 {
					t.Errorf("mtu %d, want 1400", mtu)
				}
				return err
			})
			start(t, d, func() { reflect(t, d) })

			var c *net.UDPConn
			ns.Do(t, func() (err error) {
				c, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.7.0.2:9")))
				return err
			})
			defer c.Close()
			for size := 0; size < 1370; size += 130 {
				want := bytes.Repeat([]byte{byte(size)}, size)
				if _, err := c.Write(want); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 2000)
				_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
				n, err := c.Read(got)
				if err != nil || !bytes.Equal(got[:n], want) {
					t.Fatalf("size %d: got %d bytes, %v", size, n, err)
				}
			}
		})
	}
}

// reflect swaps addresses and ports of UDP packets and writes them back, all of a batch from one slab.
func reflect(t testing.TB, d tun.Device) {
	bufs, sizes := buffers(d)
	slab := make([]byte, 1<<20)
	for {
		n, err := d.Read(bufs, sizes, tun.Offset)
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("read: %v", err)
			}
			return
		}
		var out [][]byte
		at := 0
		for i := range n {
			pkt := bufs[i][tun.Offset : tun.Offset+sizes[i]]
			ip := pkt
			if d.TAP() {
				ip = pkt[14:]
				swap(pkt[0:6], pkt[6:12])
			}
			if len(ip) < 28 || ip[0]>>4 != 4 || ip[9] != 17 {
				continue
			}
			swap(ip[12:16], ip[16:20])
			swap(ip[20:22], ip[22:24])
			end := at + tun.Offset + len(pkt)
			copy(slab[at+tun.Offset:end], pkt)
			out = append(out, slab[at:end]) // capacity to the end of the slab, on purpose
			at = end
		}
		if len(out) == 0 {
			continue
		}
		if m, err := d.Write(out, tun.Offset); err != nil || m != len(out) {
			t.Errorf("wrote %d of %d: %v", m, len(out), err)
		}
	}
}

func swap(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}

// A TCP transfer between two namespaces through two devices, each of any kind: nothing is lost by joining and cutting
// segments, and packets in one slab do not overwrite each other.
func TestTransfer(t *testing.T) {
	for _, a := range backEnds[:2] {
		for _, b := range backEnds[:2] {
			t.Run(a.name+" to "+b.name, func(t *testing.T) {
				nsA, nsB, _, _ := wire(t, a.cfg, b.cfg)
				want := make([]byte, 8<<20)
				for i := range want {
					want[i] = byte(i * i >> 7)
				}
				for _, host := range []string{"10.7.0.2", "fd07::2"} {
					var ln net.Listener
					nsB.Do(t, func() (err error) {
						ln, err = net.Listen("tcp", net.JoinHostPort(host, "80"))
						return err
					})
					sent := make(chan error, 1)
					nsA.Do(t, func() error {
						c, err := net.DialTimeout("tcp", net.JoinHostPort(host, "80"), 5*time.Second)
						if err != nil {
							return err
						}
						go func() {
							_, err := c.Write(want)
							_ = c.Close()
							sent <- err
						}()
						return nil
					})
					c, err := ln.Accept()
					if err != nil {
						t.Fatal(err)
					}
					_ = c.SetDeadline(time.Now().Add(30 * time.Second))
					var got bytes.Buffer
					if _, err := got.ReadFrom(c); err != nil {
						t.Errorf("read: %v", err)
					}
					if err := <-sent; err != nil {
						t.Errorf("write: %v", err)
					}
					if !bytes.Equal(got.Bytes(), want) {
						t.Errorf("%s: %d bytes arrived, or other ones; want %d", host, got.Len(), len(want))
					}
					_ = c.Close()
					_ = ln.Close()
				}
			})
		}
	}
}

// wire joins two namespaces by two devices and forwards between them.
func wire(t testing.TB, a, b tun.Config) (nsA, nsB *daemontest.Namespace, devA, devB tun.Device) {
	t.Helper()
	nsA, nsB = daemontest.NewNamespace(t), daemontest.NewNamespace(t)
	devA, devB = open(t, nsA, a), open(t, nsB, b)
	for i, e := range []struct {
		ns *daemontest.Namespace
		d  tun.Device
	}{{nsA, devA}, {nsB, devB}} {
		e.ns.Run(t, "ip", "addr", "add", fmt.Sprintf("10.7.0.%d/24", i+1), "dev", e.d.Name())
		e.ns.Run(t, "ip", "addr", "add", fmt.Sprintf("fd07::%d/64", i+1), "dev", e.d.Name(), "nodad")
		e.ns.Run(t, "ip", "link", "set", e.d.Name(), "up")
	}
	start(t, devA, func() { forward(t, devA, devB) })
	start(t, devB, func() { forward(t, devB, devA) })
	return nsA, nsB, devA, devB
}

// forward moves packets through one slab, so that neighbours in a write are neighbours in memory.
func forward(t testing.TB, from, to tun.Device) {
	bufs, sizes := buffers(from)
	slab := make([]byte, 0, len(bufs)*(tun.Offset+2048))
	out := make([][]byte, 0, len(bufs))
	for {
		n, err := from.Read(bufs, sizes, tun.Offset)
		if err != nil {
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("read: %v", err)
			}
			return
		}
		slab, out = slab[:0], out[:0]
		for i := range n {
			at := len(slab)
			slab = append(slab, bufs[i][:tun.Offset+sizes[i]]...)
			out = append(out, slab[at:])
			out[i] = out[i][:tun.Offset+sizes[i]]
		}
		if _, err := to.Write(out, tun.Offset); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Errorf("write: %v", err)
		}
	}
}

func BenchmarkForward(b *testing.B) {
	for _, be := range backEnds[:2] {
		b.Run(be.name, func(b *testing.B) {
			nsA, nsB, _, _ := wire(b, be.cfg, be.cfg)
			var ln net.Listener
			nsB.Do(b, func() (err error) {
				ln, err = net.Listen("tcp", "10.7.0.2:80")
				return err
			})
			defer ln.Close()
			var c net.Conn
			nsA.Do(b, func() (err error) {
				c, err = net.DialTimeout("tcp", "10.7.0.2:80", 5*time.Second)
				return err
			})
			s, err := ln.Accept()
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			const chunk = 64 << 10
			b.SetBytes(chunk)
			b.ResetTimer()
			go func() {
				buf := make([]byte, chunk)
				for range b.N {
					if _, err := c.Write(buf); err != nil {
						break
					}
				}
				_ = c.Close()
			}()
			buf := make([]byte, chunk)
			for {
				if _, err := s.Read(buf); err != nil {
					break
				}
			}
		})
	}
}

// Close ends a blocked Read, twice is fine, and nothing works afterwards. All back ends, also those without a kernel.
func TestClose(t *testing.T) {
	ns := daemontest.NewNamespace(t)
	devices := map[string]tun.Device{"memory": tuntest.New("tun9", false, 1500)}
	for _, be := range append(backEnds, backEnd{name: "null", cfg: tun.Config{Type: tun.Null}}) {
		devices[be.name] = open(t, ns, be.cfg)
	}
	for name, d := range devices {
		t.Run(name, func(t *testing.T) {
			if d.BatchSize() < 1 || d.BatchSize() > tun.MaxBatch {
				t.Errorf("batch size %d", d.BatchSize())
			}
			done := make(chan error, 1)
			go func() {
				bufs, sizes := buffers(d)
				for {
					if _, err := d.Read(bufs, sizes, tun.Offset); err != nil {
						done <- err
						return
					}
				}
			}()
			for range 2 {
				if err := d.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}
			select {
			case err := <-done:
				if !errors.Is(err, os.ErrClosed) {
					t.Errorf("read during close: %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("read still blocks")
			}
			if _, err := d.Write([][]byte{make([]byte, tun.Offset+30)}, tun.Offset); !errors.Is(err, os.ErrClosed) {
				t.Errorf("write after close: %v", err)
			}
		})
	}
	if out := ns.Run(t, "ip", "-o", "link"); strings.Contains(out, "tun") || strings.Contains(out, "tap") {
		t.Errorf("devices left:\n%s", out)
	}
}

func TestGone(t *testing.T) {
	for _, be := range backEnds {
		t.Run(be.name, func(t *testing.T) {
			ns := daemontest.NewNamespace(t)
			d := open(t, ns, be.cfg)
			done := make(chan error, 1)
			go func() {
				bufs, sizes := buffers(d)
				for {
					if _, err := d.Read(bufs, sizes, tun.Offset); err != nil {
						done <- err
						return
					}
				}
			}()
			ns.Run(t, "ip", "link", "del", d.Name())
			if err := <-done; !errors.Is(err, tun.ErrGone) {
				t.Errorf("read: %v, want %v", err, tun.ErrGone)
			}
			if _, err := d.Write([][]byte{make([]byte, tun.Offset+30)}, tun.Offset); !errors.Is(err, tun.ErrGone) {
				t.Errorf("write: %v, want %v", err, tun.ErrGone)
			}
		})
	}
}

// A packet of a device that is down is refused, and that is not the end.
func TestWriteDown(t *testing.T) {
	for _, be := range backEnds {
		t.Run(be.name, func(t *testing.T) {
			ns := daemontest.NewNamespace(t)
			d := open(t, ns, be.cfg)
			pkt := append(make([]byte, tun.Offset), 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 7, 0, 2, 10, 7, 0, 1)
			for range 2 {
				if _, err := d.Write([][]byte{bytes.Clone(pkt), bytes.Clone(pkt)}, tun.Offset); err == nil ||
					errors.Is(err, os.ErrClosed) || errors.Is(err, tun.ErrGone) {
					t.Errorf("got %v, want the kernel's refusal", err)
				}
			}
		})
	}
}

// mktun, use by each back end without losing the device, rmtun.
func TestPersistent(t *testing.T) {
	for _, typ := range []tun.Type{tun.TUN, tun.TAP} {
		t.Run(typ.String(), func(t *testing.T) {
			ns := daemontest.NewNamespace(t)
			name := typ.String() + "7"
			cfg := tun.Config{Name: name, Type: typ}
			exists := func() bool {
				_, err := ns.TryRun("ip", "link", "show", name)
				return err == nil
			}
			ns.Do(t, func() error {
				got, err := tun.CreatePersistent(cfg, 65534, -1)
				if got != name {
					t.Errorf("made %s, want %s", got, name)
				}
				return err
			})
			if out := ns.Run(t, "ip", "netns", "exec", ns.Name, "ip", "tuntap"); !strings.Contains(out, "persist") || !strings.Contains(out, "user 65534") {
				t.Errorf("made %s", out)
			}
			for _, plain := range []bool{false, true, false} {
				c := cfg
				c.DisableOffload = plain
				d := open(t, ns, c)
				if err := d.Close(); err != nil {
					t.Error(err)
				}
				if !exists() {
					t.Fatalf("plain=%v: gone after use", plain)
				}
			}
			ns.Do(t, func() error {
				_, err := tun.RemovePersistent(cfg)
				return err
			})
			if exists() {
				t.Error("still there after removal")
			}
			// Persist makes a device stay that was not made for it.
			for _, plain := range []bool{false, true} {
				c := cfg
				c.Persist, c.DisableOffload, c.MTU, c.TxQueueLen = true, plain, 1380, 77
				if err := open(t, ns, c).Close(); err != nil {
					t.Error(err)
				}
				out, _ := ns.TryRun("ip", "link", "show", name)
				if !strings.Contains(out, "mtu 1380") || !strings.Contains(out, "qlen 77") {
					t.Errorf("plain=%v: %s", plain, out)
				}
				ns.Run(t, "ip", "link", "del", name)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	ns := daemontest.NewNamespace(t)
	open(t, ns, tun.Config{Name: "tun3"})
	open(t, ns, tun.Config{Name: "tun4", DisableOffload: true})
	missing := filepath.Join(t.TempDir(), "tun")
	tests := []struct {
		name string
		cfg  tun.Config
		want string
	}{
		{"busy", tun.Config{Name: "tun3"}, "ERROR: Cannot ioctl TUNSETIFF tun3: Device or resource busy (errno=16)"},
		{"busy, plain", tun.Config{Name: "tun4", DisableOffload: true}, "ERROR: Cannot ioctl TUNSETIFF tun4: Device or resource busy (errno=16)"},
		{"other kind", tun.Config{Name: "tun3", Type: tun.TAP}, "ERROR: Cannot ioctl TUNSETIFF tun3: Invalid argument (errno=22)"},
		{"not a tun device", tun.Config{Name: "lo"}, "ERROR: Cannot ioctl TUNSETIFF lo: Invalid argument (errno=22)"},
		{"long name", tun.Config{Name: "tun4567890123456"}, "ERROR: Cannot ioctl TUNSETIFF tun4567890123456: Invalid argument (errno=22)"},
		{"no node", tun.Config{Name: "tun5", Node: missing}, "ERROR: Cannot open TUN/TAP dev " + missing + ": No such file or directory (errno=2)"},
		{"no node, plain", tun.Config{Name: "tun5", Node: missing, DisableOffload: true}, "ERROR: Cannot open TUN/TAP dev " + missing + ": No such file or directory (errno=2)"},
	}
	for _, tt := range tests {
		var err error
		ns.Do(t, func() error {
			var d tun.Device
			if d, err = tun.Open(tt.cfg); err == nil {
				_ = d.Close()
			}
			return nil
		})
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	ns := daemontest.NewNamespace(t)
	for i, cfg := range []tun.Config{{Name: "tun"}, {Name: "tun", DisableOffload: true}, {}, {Name: "tun3"}, {Name: "tun"}, {Name: "my-vpn"}} {
		want := []string{"tun0", "tun1", "tun2", "tun3", "tun4", "my-vpn"}[i]
		if got := open(t, ns, cfg).Name(); got != want {
			t.Errorf("%+v: %s, want %s", cfg, got, want)
		}
	}
}
