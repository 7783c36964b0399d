package server

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// near is a link whose other end is at once where the packets are.
type near struct {
	transport.Link
	deliver func(pkt []byte)
}

func (n *near) Send(_ transport.Peer, pkts [][]byte) error {
	for _, p := range pkts {
		n.deliver(p)
	}
	return nil
}

func (n *near) RemoteAddr() netip.AddrPort { return netip.AddrPort{} }

// A client may send under a new key as soon as it has our key message: the data channel has the key by then.
func TestRenewedKeyIsThereBeforeItsKeyMessage(t *testing.T) {
	cert := serverCert(t)
	o := new(config.Options)
	o.HandWindow = time.Minute
	b := &base{deps: Deps{Log: logging.Discard()}, total: new(engine.Totals)}
	b.opts.Store(o)
	h := newBareHub(b, o)

	now := time.Now()
	at := transport.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:4000")}
	i := &instance{}
	i.owner.instance = i
	i.heapIndex = -1
	i.peer.Store(&at)
	i.config = o.NewClientConfig()
	i.chain = chainDigest(nil)
	config := func(role keys.Role, cfg *tls.Config, wake func()) control.Config {
		return control.Config{Role: role, TLS: cfg, Wrap: ctrlwrap.NewPlain(), LocalOptions: "V4", PeerInfo: usualInfo, Wake: wake}
	}
	var err error
	if i.session, err = session.New(session.Config{Logins: true, Config: config(keys.Server, &tls.Config{Certificates: []tls.Certificate{cert}}, h.waker(&i.dataPath, &i.handshake))}, now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.session.Close)
	client, err := control.New(config(keys.Client, &tls.Config{InsecureSkipVerify: true}, nil), now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)

	told := false // the client has the key message of key 1
	events := func() {
		for {
			e, ok := client.Event()
			if !ok {
				return
			}
			switch e := e.(type) {
			case control.NeedCredentials:
				_ = client.SetCredentials("", "")
			case control.Active:
				_, _ = client.KeyBlock(e.KeyID, true)
			case control.KeyMessage:
				if e.KeyID == 1 {
					told = true
					if _, ok := i.session.Channel().Usage(1); !ok {
						t.Error("the client has the key message, and the data channel has no key")
					}
				}
			}
		}
	}
	i.link = &near{deliver: func(pkt []byte) {
		if err := client.Input(pkt, now); err != nil && !errors.Is(err, control.ErrEarly) {
			t.Errorf("client: %v", err)
		}
		client.Step(now)
		events()
	}}
	play := func(server func(pkts [][]byte), done func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("nothing comes of it")
			}
			now = now.Add(time.Millisecond)
			client.Step(now)
			events()
			server(client.Output())
		}
	}
	// The first key is negotiated without the hub, which would ask everybody about the client.
	active := false
	play(func(pkts [][]byte) {
		for _, pkt := range pkts {
			if err := i.session.Input(pkt, now); err != nil {
				t.Errorf("server: %v", err)
			}
		}
		i.session.Step(now)
		for e, ok := i.session.Event(); ok; e, ok = i.session.Event() {
			switch e := e.(type) {
			case session.KeyMessage:
				i.session.Verdict(e.Login, 0, nil, now)
			case session.Admitted:
				active = true
			}
		}
		_ = i.link.Send(at, i.session.Output())
	}, func() bool { return active })
	terms := session.Terms{Cipher: "AES-256-GCM", EKM: true, V2: true}
	p := terms.Params(keys.Server)
	p.ReplayWindow = 64
	ch, err := i.session.Open(terms, p)
	if err != nil {
		t.Fatal(err)
	}
	i.tunnel.Store(ch)
	i.stage = session.Established

	now = now.Add(2 * time.Second)
	if err := client.Renegotiate(now); err != nil {
		t.Fatal(err)
	}
	play(func(pkts [][]byte) {
		for _, pkt := range pkts {
			h.input(controlPacket{from: at, to: &i.dataPath, b: pkt}, now)
		}
		h.wake(now)
		h.step(i, now)
	}, func() bool { return told })
}

const usualInfo = "IV_VER=2.6.14\nIV_PROTO=990\n"
