package client

import (
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/dco"
	"github.com/moongate-vpn/moongate/daemon/dco/dcotest"
	"github.com/moongate-vpn/moongate/daemon/engine"
)

// kernels are a server and a client whose data packets are carried by kernels that are played.
type kernels struct {
	*both
	near, far *dcotest.Kernel // the client's, the server's
}

func newKernels(t *testing.T, both ...string) *kernels {
	t.Helper()
	k := &kernels{both: newBoth(t, "udp4")}
	k.near, k.clientPackets = offloadTo(7)
	k.far, k.serverPackets = offloadTo(8)
	k.serve(append([]string{"--keepalive", "3", "20"}, both...)...)
	k.connect(both...)
	k.up()
	k.await("the server has its peer", func() bool { _, ok := k.far.Primary(0); return ok })
	return k
}

func offloadTo(ifindex uint32) (*dcotest.Kernel, engine.Offload) {
	k, d := dcotest.New(ifindex)
	return k, d
}

// carry passes a payload each way.
func (k *kernels) carry() {
	k.t.Helper()
	for name, way := range map[string][2]*dcotest.Kernel{"to the server": {k.near, k.far}, "to the client": {k.far, k.near}} {
		pkt, err := way[0].Seal(0, []byte(name))
		if err != nil {
			k.t.Fatalf("%s: %v", name, err)
		}
		if got, err := way[1].Open(pkt); err != nil || string(got) != name {
			k.t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

// primary waits until both kernels send with a key.
func (k *kernels) primary(id uint8) {
	k.t.Helper()
	for name, kernel := range map[string]*dcotest.Kernel{"client": k.near, "server": k.far} {
		k.await(name+" sends with the key", func() bool { got, ok := kernel.Primary(0); return ok && got == id })
	}
}

// A connection in the kernel: keys of both ends, pings and silence, counters, and the end.
func TestOffloadedLife(t *testing.T) {
	t.Parallel()
	k := newKernels(t)
	k.carry()
	peer, _ := k.near.Peer(0)
	if peer.Remote.String() != k.addr+":31195" || peer.Socket == 0 || !peer.Local.IsValid() {
		t.Errorf("the client's peer is %+v", peer)
	}
	k.await("keepalive of the server", func() bool {
		p, _ := k.far.Peer(0)
		return p.VPN4.String() == "10.8.0.2" && p.Keepalive == dco.Keepalive{Set: true, Interval: 3 * time.Second, Timeout: 40 * time.Second}
	})
	k.await("keepalive of the client", func() bool {
		p, _ := k.near.Peer(0)
		return p.Keepalive == dco.Keepalive{Set: true, Interval: 3 * time.Second, Timeout: 20 * time.Second}
	})
	k.lines(k.client, "Timers: ping 3, ping-restart 20", 1)
	for range 100 {
		k.carry()
	}
	k.await("counters", func() bool { n, _ := k.out.Traffic(); return n.In > 100*30 && n.Out > 100*30 })
	for name, r := range map[string]*running{"client": k.client, "server": k.server} {
		if strings.Contains(r.log.String(), "aead-epoch") {
			t.Errorf("the %s agrees on epochs, which kernels have not", name)
		}
	}
	k.end(k.client, engine.TERM)
	if _, ok := k.near.Peer(0); ok {
		t.Error("the client leaves its peer in the kernel")
	}
	k.end(k.server, engine.TERM)
	if _, ok := k.far.Peer(0); ok {
		t.Error("the server leaves its peer in the kernel")
	}
}

// A renewal, because packet ids are used up or time is: the new key waits in the second slot until both ends have it.
func TestOffloadedRenewal(t *testing.T) {
	t.Parallel()
	k := newKernels(t, "--reneg-sec", "600", "--hand-window", "5", "--tran-window", "3")
	k.carry()
	k.near.Spend(0)
	k.primary(1)
	k.carry()
	k.far.Spend(0)
	k.primary(2)
	k.carry()
	told := strings.Join(k.far.Told(), "; ")
	for _, want := range []string{"key-new primary 0; ", "key-new secondary 1; key-swap; ", "key-new secondary 2; key-swap"} {
		if !strings.Contains(told, want) {
			t.Errorf("no %q in %s", want, told)
		}
	}
}

// A peer that the kernel gives up ends its session as it does here: at the client to start again, at the server for good.
func TestOffloadedPeerIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		why          dco.DelReason
		line, reason string
	}{
		{dco.DelExpired, "Inactivity timeout (--ping-restart), restarting", "ping-restart"},
		{dco.DelTransportError, "Connection reset, restarting", "connection-reset"},
	} {
		t.Run(tt.why.String(), func(t *testing.T) {
			t.Parallel()
			k := newKernels(t)
			k.near.Give(0, tt.why)
			k.lines(k.client, "[server] "+tt.line, 1)
			k.lines(k.client, "SIGUSR1[soft,"+tt.reason+"] received, process restarting", 1)
			k.lines(k.client, "Initialization Sequence Completed", 2)
			k.await("the new client", func() bool { return k.vpn.Clients() == 1 })
			k.far.Give(uint32(peerOf(k)), tt.why)
			k.lines(k.server, tt.line, 1)
			k.lines(k.server, "SIGUSR1[soft,"+tt.reason+"] received, client-instance restarting", 1)
			k.await("no client", func() bool { return k.vpn.Clients() == 0 })
		})
	}
}

// peerOf is the peer-id of the client that is there.
func peerOf(k *kernels) (id int) {
	k.await("a peer", func() bool {
		for id = range 4 {
			if _, ok := k.far.Primary(uint32(id)); ok {
				return true
			}
		}
		return false
	})
	return id
}

// One end in the kernel and the other here understand each other's terms; what the kernel cannot do stays here.
func TestOffloadedMixed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name              string
		near, far         bool // in the kernel
		proto             string
		both              []string
		kept              string // why it stays here
		nearPeer, farPeer bool
	}{
		{"client alone", true, false, "udp4", nil, "", true, false},
		{"server alone", false, true, "udp4", nil, "", false, true},
		{"stream", true, true, "tcp-server", nil, "the connection is a stream", false, false},
		{"cipher", true, true, "udp4", []string{"--data-ciphers", "AES-128-CBC"}, "the data format needs AEAD", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBoth(t, tt.proto)
			near, nearPackets := offloadTo(7)
			far, farPackets := offloadTo(8)
			if tt.near {
				b.clientPackets = nearPackets
			}
			if tt.far {
				b.serverPackets = farPackets
			}
			b.serve(append([]string{"--keepalive", "1", "20"}, tt.both...)...)
			b.connect(tt.both...)
			b.up()
			b.await("the server's client", func() bool { return b.vpn.Clients() == 1 })
			if tt.kept != "" {
				b.lines(b.client, "NOTE: data packets are not offloaded: "+tt.kept, 1)
				b.lines(b.server, "NOTE: data packets are not offloaded: "+tt.kept, 1)
			}
			_, nearPeer := near.Primary(0)
			_, farPeer := far.Primary(0)
			if nearPeer != tt.nearPeer || farPeer != tt.farPeer {
				t.Errorf("in the kernel: client %v, server %v", nearPeer, farPeer)
			}
			if !nearPeer && !farPeer {
				b.await("pings", func() bool { n, _ := b.out.Traffic(); return n.In > 0 && n.Out > 0 })
			}
			b.end(b.client, engine.TERM)
		})
	}
}
