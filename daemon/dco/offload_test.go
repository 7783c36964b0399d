package dco_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/dco"
	"github.com/moongate-vpn/moongate/daemon/dco/dcotest"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/keys"
)

// pair is a peer in the kernel, and a channel of user space on the other end.
type pair struct {
	t      *testing.T
	kernel *dcotest.Kernel
	peer   engine.Offloaded
	far    *data.Channel
	gone   []engine.Gone
	now    time.Time
}

const peerID = 5

func newPair(t *testing.T, cipher string) *pair {
	t.Helper()
	p := &pair{t: t, now: time.Unix(1_800_000_000, 0)}
	var d *dco.Device
	p.kernel, d = dcotest.New(7)
	params := data.Params{Role: keys.Client, Cipher: cipher, V2: true, PeerID: peerID, ReplayWindow: 64}
	var err error
	p.peer, err = d.Attach(engine.OffloadPeer{Params: params, Remote: netip.MustParseAddrPort("10.99.0.1:1194"), Socket: 3}, func(g engine.Gone) { p.gone = append(p.gone, g) })
	if err != nil {
		t.Fatal(err)
	}
	params.Role = keys.Server
	if p.far, err = data.New(params); err != nil {
		t.Fatal(err)
	}
	return p
}

// renew gives both ends keys, which may be used a minute later.
func (p *pair) renew(keyID uint8) {
	p.t.Helper()
	b := new(keys.Block)
	for i := range b {
		b[i] = byte(i*3 + int(keyID)*7 + 1)
	}
	at := p.now.Add(time.Minute)
	if err := errors.Join(p.peer.SetKey(keyID, b, at), p.far.SetKey(keyID, b, at)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *pair) tick() engine.Moves {
	p.t.Helper()
	m, err := p.peer.Tick(p.now)
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// talk passes a payload each way.
func (p *pair) talk() {
	p.t.Helper()
	pkt, err := p.kernel.Seal(peerID, []byte("from the kernel, long enough"))
	if err != nil {
		p.t.Fatal(err)
	}
	if got, kind, err := p.far.Open(pkt, p.now); err != nil || kind != data.Packet || string(got) != "from the kernel, long enough" {
		p.t.Errorf("user space opens %q, %v, %v", got, kind, err)
	}
	if pkt, err = p.far.Seal(nil, []byte("from user space"), p.now); err != nil {
		p.t.Fatal(err)
	}
	if got, err := p.kernel.Open(pkt); err != nil || !bytes.Equal(got, []byte("from user space")) {
		p.t.Errorf("the kernel opens %q, %v", got, err)
	}
}

func (p *pair) told(want ...string) {
	p.t.Helper()
	if diff := cmp.Diff(want, p.kernel.Told()); diff != "" {
		p.t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// Keys of the kernel are those of user space, under each cipher that it has.
func TestKernelTalksToUserSpace(t *testing.T) {
	for _, cipher := range []string{"AES-128-GCM", "AES-192-GCM", "AES-256-GCM", "CHACHA20-POLY1305"} {
		t.Run(cipher, func(t *testing.T) {
			p := newPair(t, cipher)
			p.renew(0)
			p.talk()
			p.talk()
			if m := p.tick(); m.PacketsIn != 2 || m.TunIn != 2*15 || m.TunOut != 2*28 || m.LinkIn != 2*(15+24) || m.LinkOut != 2*(28+24) {
				t.Errorf("counts %+v", m)
			}
			u, ok := p.peer.PrimaryUsage()
			if want := (data.KeyUsage{Sealed: 2, SealedBytes: 56, Opened: 2, OpenedBytes: 30}); !ok || u != want {
				t.Errorf("usage %+v, want %+v", u, want)
			}
		})
	}
}

// The life of keys: a new one waits in the secondary slot, is swapped in when the peer has it too, and the old one goes.
func TestKernelKeys(t *testing.T) {
	p := newPair(t, "AES-256-GCM")
	p.renew(0)
	p.renew(1)
	p.tick()
	p.talk()
	if id, _ := p.kernel.Primary(peerID); id != 0 {
		t.Errorf("sends with key %d before its time", id)
	}
	p.now = p.now.Add(time.Minute)
	p.tick()
	p.tick()
	p.talk()
	if id, _ := p.kernel.Primary(peerID); id != 1 {
		t.Errorf("sends with key %d", id)
	}
	p.peer.DropKey(0)
	p.renew(2)
	p.renew(3) // before the one before was in use
	p.talk()
	p.now = p.now.Add(time.Minute)
	p.tick()
	p.talk()
	p.peer.DropKey(1) // gone by itself: the slot was needed
	p.peer.DropKey(3) // the one in use: the other takes its place
	p.told("peer-new 5", "key-new primary 0", "key-new secondary 1", "key-swap", "key-del secondary",
		"key-new secondary 2", "key-swap", "key-new secondary 3", "key-swap", "key-swap", "key-del secondary")
	if id, _ := p.kernel.Primary(peerID); id != 2 {
		t.Errorf("sends with key %d", id)
	}
	if err := errors.Join(p.peer.Close(), p.peer.Close()); err != nil {
		t.Error(err)
	}
	if _, ok := p.kernel.Peer(peerID); ok {
		t.Error("the peer is still there")
	}
}

// What the kernel tells on its own account.
func TestKernelTells(t *testing.T) {
	for why, want := range map[dco.DelReason][]engine.Gone{
		dco.DelExpired: {engine.GoneSilent}, dco.DelTransportError: {engine.GoneBroken}, dco.DelTransportDisconnect: {engine.GoneBroken},
		dco.DelTeardown: {engine.GoneBroken}, dco.DelUserspace: nil,
	} {
		t.Run(why.String(), func(t *testing.T) {
			p := newPair(t, "AES-256-GCM")
			p.renew(0)
			p.kernel.Give(peerID, why)
			p.kernel.Give(peerID, why)
			if diff := cmp.Diff(want, p.gone); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			if _, err := p.peer.Tick(p.now); !errors.Is(err, dco.ErrNoPeer) {
				t.Errorf("counters of a peer that is gone: %v", err)
			}
			if err := p.peer.Close(); err != nil {
				t.Error(err)
			}
			p.kernel.Give(peerID, dco.DelExpired)
			if len(p.gone) > 1 {
				t.Error("told behind the end")
			}
		})
	}
	t.Run("key used up", func(t *testing.T) {
		p := newPair(t, "AES-256-GCM")
		p.renew(0)
		p.kernel.Spend(peerID)
		if u, _ := p.peer.PrimaryUsage(); !u.Renegotiate {
			t.Error("no renewal is asked for")
		}
		p.renew(1)
		if u, _ := p.peer.PrimaryUsage(); u.Renegotiate || u.KeyID != 1 {
			t.Errorf("the new key: %+v", u)
		}
	})
	t.Run("of another interface", func(t *testing.T) {
		p := newPair(t, "AES-256-GCM")
		k, d := dcotest.New(8)
		_ = k
		d.Notify(&dco.Message{Command: dco.PeerDelNtf, Ifindex: 7, Peer: &dco.Peer{ID: peerID, DelReason: dco.DelExpired}})
		if len(p.gone) > 0 {
			t.Error("told")
		}
	})
}

func TestKeepaliveOfKernel(t *testing.T) {
	p := newPair(t, "AES-256-GCM")
	if err := p.peer.Keep(1500*time.Millisecond, time.Minute); err != nil {
		t.Fatal(err)
	}
	peer, _ := p.kernel.Peer(peerID)
	if want := (dco.Keepalive{Set: true, Interval: 2 * time.Second, Timeout: time.Minute}); peer.Keepalive != want {
		t.Errorf("%+v, want %+v", peer.Keepalive, want)
	}
}

func TestAttachRefuses(t *testing.T) {
	_, d := dcotest.New(7)
	attach := func(id uint32, cipher string) error {
		_, err := d.Attach(engine.OffloadPeer{Params: data.Params{Cipher: cipher, PeerID: id, V2: true}}, nil)
		return err
	}
	if err := attach(1, "AES-256-CBC"); !errors.Is(err, dco.ErrValue) {
		t.Errorf("cipher of user space: %v", err)
	}
	if err := fmt.Errorf("%w %w", attach(1, "AES-256-GCM"), attach(1, "AES-256-GCM")); !errors.Is(err, dco.ErrValue) {
		t.Errorf("a peer-id twice: %v", err)
	}
}
