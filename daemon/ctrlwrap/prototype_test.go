package ctrlwrap

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// TestStatelessV2 plays the vectors of the tls-crypt-v2 handshake through a prototype: reset, answer without state,
// the client's message 1, and the session's first packet.
func TestStatelessV2(t *testing.T) {
	v := loadV2(t)
	p := NewPrototype(Server{WrapKey: (*keys.WrapKey)(v.ServerKey)})
	now := time.Unix(1694498816, 0)
	f, err := p.Verify(v.Reset.Packet)
	if err != nil {
		t.Fatal(err)
	}
	want := First{
		Op: wire.OpControlHardResetClientV3, Session: testSID, Body: v.Reset.Plaintext,
		ClientKey: (*keys.StaticKey)(v.Kc), Metadata: v.Metadata, Early: true,
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Error(diff)
	}
	server := wire.SessionID(v.Reply.Packet[1:9])
	for range 2 { // the same answer to a repeated reset: nothing was kept
		got, err := p.Answer(nil, &f, wire.OpControlHardResetServerV2, server, v.Reply.Plaintext, now)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]byte(v.Reply.Packet), got); diff != "" {
			t.Error(diff)
		}
	}
	f, err = p.Verify(v.Resend.Packet)
	if err != nil {
		t.Fatal(err)
	}
	session := p.New(&f, 1)
	if _, err := unwrap(session, v.Resend.Packet, now); err != nil {
		t.Errorf("the session's first packet: %v", err)
	}
	pkt := mustWrap(t, session, wire.OpAckV1, []byte{0}, now)
	if id, _ := parseReplayID(pkt[wire.ControlHeaderSize:]); id != 2 {
		t.Errorf("the session counts on with %d, want 2", id)
	}
	if got := p.StaticKey(&f); *got != keys.StaticKey(v.Kc) {
		t.Error("dynamic tls-crypt is based on another key than Kc")
	}
}

func TestVerify(t *testing.T) {
	v := loadV2(t)
	key, sha1 := testKey(), mustDigest(t, "SHA1")
	wrapKey := (*keys.WrapKey)(v.ServerKey)
	var otherWrap keys.WrapKey
	otherWrap[0] = 1
	body := make([]byte, 5)
	const reset = wire.OpControlHardResetClientV2
	plainPkt := mustWrap(t, NewPlain(), reset, body, testNow)
	authPkt := mustWrap(t, NewTLSAuth(key, keys.Direction1, sha1), reset, body, testNow)
	cryptPkt := mustWrap(t, NewTLSCrypt(key, keys.Client), reset, body, testNow)
	auth := Server{TLSAuthKey: key, Direction: keys.Direction0, Digest: sha1}
	authAndV2 := auth
	authAndV2.WrapKey = wrapKey
	tests := []struct {
		name string
		cfg  Server
		pkt  []byte
		want error
	}{
		{"plain", Server{}, plainPkt, nil},
		{"tls-auth", auth, authPkt, nil},
		{"tls-crypt", Server{TLSCrypt: key}, cryptPkt, nil},
		{"v2 beside tls-crypt: tls-crypt", Server{TLSCrypt: key, WrapKey: wrapKey}, cryptPkt, nil},
		{"v2 beside tls-crypt: v2", Server{TLSCrypt: key, WrapKey: wrapKey}, v.Reset.Packet, nil},
		{"v2 beside tls-auth: tls-auth", authAndV2, authPkt, nil},
		{"v2 beside tls-auth: v2", authAndV2, v.Reset.Packet, nil},
		{"v2 alone: plain", Server{WrapKey: wrapKey}, plainPkt, ErrNoWKc},
		{"v2 alone: tls-crypt", Server{WrapKey: wrapKey}, cryptPkt, ErrNoWKc},
		{"v2 with another server key", Server{WrapKey: &otherWrap}, v.Reset.Packet, ErrWKc},
		{"v2 to a server without", Server{TLSCrypt: key}, v.Reset.Packet, ErrWKc},
		{"v2 without WKc", Server{WrapKey: wrapKey}, v.Reset.Packet[:54], ErrWKc},
		{"plain to tls-auth", auth, plainPkt, ErrShort},
		{"plain to tls-crypt", Server{TLSCrypt: key}, plainPkt, ErrShort},
		{"tls-auth to tls-crypt", Server{TLSCrypt: key}, append(bytes.Clone(authPkt), make([]byte, 20)...), ErrAuth},
		{"data", Server{TLSCrypt: key}, []byte{0x48, 0, 0, 0, 1, 2, 3, 4, 5, 6}, wire.ErrChannel},
		{"empty", Server{}, nil, ErrShort},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := NewPrototype(tt.cfg)
			for range 2 { // a replay is none of a prototype's business
				f, err := p.Verify(tt.pkt)
				if !errors.Is(err, tt.want) {
					t.Fatalf("got %v, want %v", err, tt.want)
				}
				if err != nil {
					continue
				}
				if f.Session != testSID || !bytes.Equal(f.Body, body) {
					t.Errorf("session %v, body %x", f.Session, f.Body)
				}
				session := p.New(&f, 0)
				if _, err := unwrap(session, tt.pkt, testNow); err != nil {
					t.Errorf("session: %v", err)
				}
				if _, isPlain := session.(plain); isPlain {
					continue
				}
				if _, err := unwrap(session, tt.pkt, testNow); !errors.Is(err, ErrReplay) {
					t.Errorf("session, again: got %v, want %v", err, ErrReplay)
				}
			}
		})
	}
}

// TestAnswer holds that answers of every kind are first packets: replay id 1, and understood by the client.
func TestAnswer(t *testing.T) {
	key, sha1 := testKey(), mustDigest(t, "SHA1")
	tests := []struct {
		name   string
		cfg    Server
		client func() Wrapper
		base   *keys.StaticKey
		size   int
	}{
		{"plain", Server{}, NewPlain, nil, 26},
		{
			"tls-auth", Server{TLSAuthKey: key, Direction: keys.Direction0, Digest: sha1},
			func() Wrapper { return NewTLSAuth(key, keys.Direction1, sha1) }, key, 54,
		},
		{"tls-crypt", Server{TLSCrypt: key}, func() Wrapper { return NewTLSCrypt(key, keys.Client) }, key, 66},
	}
	body := wire.ControlBody{Acks: []uint32{0}, PeerSession: testSID}
	enc := body.Append(nil, wire.OpControlHardResetServerV2)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := NewPrototype(tt.cfg)
			client := tt.client()
			f, err := p.Verify(mustWrap(t, client, wire.OpControlHardResetClientV2, make([]byte, 5), testNow))
			if err != nil {
				t.Fatal(err)
			}
			if p.StaticKey(&f) != tt.base {
				t.Error("another base for dynamic tls-crypt")
			}
			for i := range 3 {
				now := testNow.Add(time.Duration(i) * time.Second)
				pkt, err := p.Answer(nil, &f, wire.OpControlHardResetServerV2, wire.SessionID{9}, enc, now)
				if err != nil || len(pkt) != tt.size {
					t.Fatalf("%d bytes, want %d; %v", len(pkt), tt.size, err)
				}
				got, err := unwrap(client, pkt, now)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(parts{wire.OpControlHardResetServerV2, 0, wire.SessionID{9}, enc}, got); diff != "" {
					t.Error(diff)
				}
			}
			session := p.New(&f, 1)
			if _, err := unwrap(client, mustWrap(t, session, wire.OpAckV1, []byte{0}, testNow.Add(2*time.Second)), testNow); err != nil {
				t.Errorf("first packet of the session: %v", err)
			}
		})
	}
}

func FuzzVerify(f *testing.F) {
	v := loadV2(f)
	f.Add([]byte(v.Reset.Packet))
	f.Add([]byte(v.Resend.Packet))
	f.Add([]byte(v.Reset.Packet[54:]))
	f.Add(mustWrap(f, NewTLSCrypt(testKey(), keys.Client), wire.OpControlHardResetClientV2, make([]byte, 5), testNow))
	p := NewPrototype(Server{TLSCrypt: testKey(), WrapKey: (*keys.WrapKey)(v.ServerKey)})
	f.Fuzz(func(t *testing.T, pkt []byte) {
		first, err := p.Verify(pkt)
		if err == nil && (first.Session.IsZero() || len(first.Body) > len(pkt) || first.Op.HasWKc() != (first.ClientKey != nil)) {
			t.Errorf("%x gives %+v", pkt, first)
		}
	})
}
