package ctrlwrap

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// hexBytes is a binary value of the vector files.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// packetVector is one wrapped packet.
type packetVector struct {
	Name      string      `json:"name"`
	Way       string      `json:"direction"`
	Sender    string      `json:"sender"`
	Direction any         `json:"key_direction"`
	Digest    string      `json:"digest"`
	Op        wire.Opcode `json:"opcode"`
	KeyID     uint8       `json:"key_id"`
	Session   hexBytes    `json:"session_id"`
	PacketID  uint32      `json:"replay_packet_id"`
	Time      int64       `json:"replay_time"`
	Plaintext hexBytes    `json:"plaintext"`
	Packet    hexBytes    `json:"packet"`
}

type wrapVectors struct {
	Key   hexBytes       `json:"static_key"`
	Cases []packetVector `json:"cases"`
}

func load(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// parts is what Unwrap returns.
type parts struct {
	Op      wire.Opcode
	KeyID   uint8
	Session wire.SessionID
	Body    []byte
}

func (p *packetVector) parts() parts {
	return parts{p.Op, p.KeyID, wire.SessionID(p.Session), p.Plaintext}
}

func unwrap(w Wrapper, pkt []byte, now time.Time) (parts, error) {
	op, keyID, sid, body, err := w.Unwrap(pkt, now)
	w.Commit(now)
	return parts{op, keyID, sid, body}, err
}

// count tells a wrapper how many packets it sent before, so that vectors from the middle of a session match.
func count(w Wrapper, sent uint32) {
	switch w := w.(type) {
	case *tlsCrypt:
		w.counter.id = sent
	case *tlsAuth:
		w.counter.id = sent
	}
}

// agree wraps v with one wrapper and opens it with the other.
func agree(t *testing.T, v *packetVector, sender, receiver Wrapper) {
	t.Helper()
	now := time.Unix(v.Time, 0)
	count(sender, v.PacketID-1)
	got, err := sender.Wrap([]byte("head room"), v.Op, v.KeyID, wire.SessionID(v.Session), v.Plaintext, now)
	if err != nil {
		t.Fatal(err)
	}
	got = got[len("head room"):]
	if diff := cmp.Diff([]byte(v.Packet), got); diff != "" {
		t.Errorf("packet: %s", diff)
	}
	if want := len(got) - wire.ControlHeaderSize - len(v.Plaintext) - Trailer(sender, v.Op); sender.Overhead() != want {
		t.Errorf("overhead %d, want %d", sender.Overhead(), want)
	}
	p, err := unwrap(receiver, got, now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v.parts(), p); diff != "" {
		t.Errorf("unwrapped: %s", diff)
	}
}

func TestTLSCryptVectors(t *testing.T) {
	var v wrapVectors
	load(t, "a_tls_crypt.json", &v)
	for _, c := range v.Cases {
		t.Run(c.Name, func(t *testing.T) {
			sender := keys.Client
			if c.Way == "server->client" {
				sender = keys.Server
			}
			key := (*keys.StaticKey)(v.Key)
			agree(t, &c, NewTLSCrypt(key, sender), NewTLSCrypt(key, sender.Peer()))
		})
	}
}

func TestTLSAuthVectors(t *testing.T) {
	var v wrapVectors
	load(t, "d_tls_auth.json", &v)
	for _, c := range v.Cases {
		t.Run(c.Name, func(t *testing.T) {
			digest, err := keys.ParseDigest(c.Digest)
			if err != nil {
				t.Fatal(err)
			}
			ours, theirs := keys.Bidirectional, keys.Bidirectional
			switch c.Direction {
			case 0.0:
				ours, theirs = keys.Direction0, keys.Direction1
			case 1.0:
				ours, theirs = keys.Direction1, keys.Direction0
			}
			key := (*keys.StaticKey)(v.Key)
			agree(t, &c, NewTLSAuth(key, ours, digest), NewTLSAuth(key, theirs, digest))
		})
	}
}

// v2Vectors is the tls-crypt-v2 file; its packets say less than the others and are completed by loadV2.
type v2Vectors struct {
	ServerKey hexBytes `json:"server_key"`
	Kc        hexBytes `json:"client_key_Kc"`
	WKc       hexBytes `json:"wkc_timestamp"`
	Metadata  hexBytes `json:"metadata_timestamp"`
	Reset     v2Packet `json:"reset_client_v3"`
	Reply     v2Packet `json:"server_reply_resend_wkc"`
	Resend    v2Packet `json:"client_wkc_v1_empty"`
}

type v2Packet struct {
	Plaintext hexBytes `json:"plaintext"`
	Packet    hexBytes `json:"packet"`
}

func (p v2Packet) vector(op wire.Opcode, id uint32) *packetVector {
	return &packetVector{
		Op: op, Session: p.Packet[1:9], PacketID: id, Time: 1694498816, Plaintext: p.Plaintext, Packet: p.Packet,
	}
}

func loadV2(t testing.TB) (v v2Vectors) {
	t.Helper()
	load(t, "f_tls_crypt_v2.json", &v)
	return v
}

func TestTLSCryptV2Vectors(t *testing.T) {
	v := loadV2(t)
	kc := (*keys.StaticKey)(v.Kc)
	client, server := NewTLSCryptV2Client(kc, v.WKc), NewTLSCryptV2Server(kc)
	agree(t, v.Reset.vector(wire.OpControlHardResetClientV3, 0x0f000001), client, server)
	agree(t, v.Reply.vector(wire.OpControlHardResetServerV2, 1), server, client)
	agree(t, v.Resend.vector(wire.OpControlWKCV1, 0x0f000002), client, server)
	if got := Trailer(client, wire.OpControlWKCV1); got != len(v.WKc) {
		t.Errorf("trailer of P_CONTROL_WKC_V1: %d, want %d", got, len(v.WKc))
	}
	if got := Trailer(client, wire.OpControlV1); got != 0 {
		t.Errorf("trailer of P_CONTROL_V1: %d, want 0", got)
	}
	if got := Trailer(server, wire.OpControlWKCV1); got != 0 {
		t.Errorf("trailer of a server: %d, want 0", got)
	}
}

func TestClientStartsCountOfEarlyNegotiation(t *testing.T) {
	v := loadV2(t)
	pkt, err := NewTLSCryptV2Client((*keys.StaticKey)(v.Kc), v.WKc).Wrap(
		nil, wire.OpControlHardResetClientV3, 0, wire.SessionID(v.Reset.Packet[1:9]), v.Reset.Plaintext, time.Unix(1694498816, 0))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]byte(v.Reset.Packet), pkt); diff != "" {
		t.Error(diff)
	}
}

func TestDynamicKeys(t *testing.T) {
	var v struct {
		D struct {
			Exported hexBytes `json:"exported_256"`
			Wrap     hexBytes `json:"wrap_key_256"`
			XOR      hexBytes `json:"with_wrap_key_xor"`
			Without  hexBytes `json:"without_wrap_key"`
		} `json:"dynamic_tls_crypt"`
	}
	load(t, "i_misc.json", &v)
	exported, base := (*keys.StaticKey)(v.D.Exported), (*keys.StaticKey)(v.D.Wrap)
	tests := []struct {
		name string
		base *keys.StaticKey
		want []byte
	}{{"wrapped before", base, v.D.XOR}, {"plain before", nil, v.D.Without}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now, sid := time.Unix(1694498816, 0), wire.SessionID{1}
			pkt, err := NewDynamic(exported, tt.base, keys.Client).Wrap(nil, wire.OpControlSoftResetV1, 1, sid, make([]byte, 5), now)
			if err != nil {
				t.Fatal(err)
			}
			got, err := unwrap(NewTLSCrypt((*keys.StaticKey)(tt.want), keys.Server), pkt, now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parts{wire.OpControlSoftResetV1, 1, sid, make([]byte, 5)}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
