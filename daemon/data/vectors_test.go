package data

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// hexBytes is a byte string written as hexadecimal digits in the vector files.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

func readVectors(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

// vector is one packet of the files aead, cbc, static and epoch.
type vector struct {
	Name      string   `json:"name"`
	Cipher    string   `json:"cipher"`
	Digest    string   `json:"digest"`
	Sender    string   `json:"sender"`
	Opcode    int      `json:"opcode"`
	PeerID    uint32   `json:"peer_id"`
	KeyID     uint8    `json:"key_id"`
	PacketID  uint64   `json:"packet_id"`
	Time      int64    `json:"time"`
	Epoch     uint16   `json:"epoch"`
	Counter   uint64   `json:"counter"`
	IV        hexBytes `json:"iv"`
	Plaintext hexBytes `json:"plaintext"`
	Payload   hexBytes `json:"payload"`
	Packet    hexBytes `json:"packet"`
	Direction any      `json:"key_direction_of_sender"`
}

var testNow = time.Unix(1694498816, 0)

// runVector seals v's payload into exactly v's packet, and opens the packet on the other side.
func runVector(t *testing.T, v vector, sender, receiver *Channel, payload []byte) {
	t.Helper()
	got, err := sender.Seal(nil, bytes.Clone(payload), testNow)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]byte(v.Packet), got); diff != "" {
		t.Errorf("sealed packet (-want +got):\n%s", diff)
	}
	_, want := classify(payload)
	plain, kind, err := receiver.Open(bytes.Clone(v.Packet), testNow)
	if err != nil || kind != want {
		t.Fatalf("Open: kind %d, want %d, error %v", kind, want, err)
	}
	if kind == Packet && !bytes.Equal(plain, payload) {
		t.Errorf("opened %x, want %x", plain, payload)
	}
	if _, _, err = receiver.Open(bytes.Clone(v.Packet), testNow); err != ErrReplay {
		t.Errorf("second Open: %v, want %v", err, ErrReplay)
	}
}

func blockOf(t testing.TB, b []byte) *keys.Block {
	t.Helper()
	block := new(keys.Block)
	if copy(block[:], b) != len(block) {
		t.Fatal("short key block")
	}
	return block
}

func role(name string) keys.Role {
	if name == "server" {
		return keys.Server
	}
	return keys.Client
}

// pair makes two ends with the same keys.
func pair(t testing.TB, p Params, keyID uint8, block *keys.Block) (own, peer *Channel) {
	t.Helper()
	ends := [2]*Channel{}
	for i, r := range []keys.Role{p.Role, p.Role.Peer()} {
		p.Role = r
		c, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetKey(keyID, block, testNow); err != nil {
			t.Fatal(err)
		}
		ends[i] = c
	}
	return ends[0], ends[1]
}

func startAt(c *Channel, id uint64) { c.keys.Load().slots[0].use.ids.Store(id - 1) }

func TestVectorsAEAD(t *testing.T) {
	var f struct {
		Block hexBytes `json:"key_block_256"`
		Cases []vector `json:"cases"`
	}
	readVectors(t, "aead.json", &f)
	for _, v := range f.Cases {
		t.Run(v.Name, func(t *testing.T) {
			p := Params{Role: role(v.Sender), Cipher: v.Cipher, PeerID: v.PeerID, V2: v.Opcode == opDataV2, ReplayWindow: 64}
			own, peer := pair(t, p, v.KeyID, blockOf(t, f.Block))
			startAt(own, v.PacketID)
			runVector(t, v, own, peer, v.Plaintext)
		})
	}
}

func TestVectorsCBC(t *testing.T) {
	var f struct {
		Block hexBytes `json:"key_block_256"`
		Cases []vector `json:"cases"`
	}
	readVectors(t, "cbc.json", &f)
	for _, v := range f.Cases {
		t.Run(v.Name, func(t *testing.T) {
			p := Params{Role: role(v.Sender), Cipher: v.Cipher, Auth: v.Digest, ReplayWindow: 64}
			if p.V2 = v.Packet[0]>>3 == opDataV2; p.V2 {
				p.PeerID = binary.BigEndian.Uint32(v.Packet) & NoPeerID
			}
			own, peer := pair(t, p, v.KeyID, blockOf(t, f.Block))
			startAt(own, v.PacketID)
			own.keys.Load().slots[0].send.(*legacySeal).rand = bytes.NewReader(v.IV)
			runVector(t, v, own, peer, v.Payload)
		})
	}
}

func TestVectorsStatic(t *testing.T) {
	var f struct {
		Key   string   `json:"static_key_file"`
		Cases []vector `json:"cases"`
	}
	readVectors(t, "static.json", &f)
	key, err := keys.ParseStaticKey([]byte(f.Key))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range f.Cases {
		t.Run(v.Name, func(t *testing.T) {
			own, peer := keys.Bidirectional, keys.Bidirectional
			switch v.Direction {
			case 0.0:
				own, peer = keys.Direction0, keys.Direction1
			case 1.0:
				own, peer = keys.Direction1, keys.Direction0
			}
			p := Params{Cipher: v.Cipher, Auth: v.Digest, ReplayWindow: 64}
			a, err := NewStatic(p, key, own)
			if err != nil {
				t.Fatal(err)
			}
			b, err := NewStatic(p, key, peer)
			if err != nil {
				t.Fatal(err)
			}
			startAt(a, v.PacketID)
			a.keys.Load().slots[0].send.(*legacySeal).rand = bytes.NewReader(v.IV)
			runVector(t, v, a, b, v.Payload)
		})
	}
}

func TestVectorsEpoch(t *testing.T) {
	var f struct {
		E1     hexBytes `json:"E1"`
		Epochs []struct {
			Epoch uint16   `json:"epoch"`
			E     hexBytes `json:"epoch_key"`
			Key32 hexBytes `json:"data_key_32"`
			Key16 hexBytes `json:"data_key_16"`
			IV    hexBytes `json:"data_iv_12"`
		} `json:"epochs"`
		Packets []vector `json:"packets"`
	}
	readVectors(t, "epoch.json", &f)
	e := epochSecret(f.E1)
	for _, want := range f.Epochs {
		if !bytes.Equal(e[:], want.E) {
			t.Errorf("E(%d) = %x, want %x", want.Epoch, e, want.E)
		}
		for label, want := range map[string][]byte{"data_key": want.Key32, "data_iv": want.IV} {
			if got, err := expandLabel(e[:], label, len(want)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %x, %v, want %x", label, got, err, want)
			}
		}
		if got, err := expandLabel(e[:], "data_key", 16); err != nil || !bytes.Equal(got, want.Key16) {
			t.Errorf("16 byte key: %x, %v, want %x", got, err, want.Key16)
		}
		var err error
		if e, err = e.next(); err != nil {
			t.Fatal(err)
		}
	}
	var block keys.Block
	copy(block[:], f.E1)
	for i := 128; i < len(block); i++ {
		block[i] = byte(i)
	}
	for _, v := range f.Packets {
		t.Run(v.Cipher, func(t *testing.T) {
			p := Params{Cipher: v.Cipher, PeerID: v.PeerID, V2: true, Epoch: true, ReplayWindow: 64}
			own, peer := pair(t, p, v.KeyID, &block)
			s := own.keys.Load().slots[0].send.(*epochSeal)
			if err := s.advance(v.Epoch); err != nil {
				t.Fatal(err)
			}
			s.ring[v.Epoch&1].Load().ids.Store(v.Counter - 1)
			runVector(t, v, own, peer, v.Plaintext)
			if got := peer.keys.Load().slots[0].send.(*epochSeal).now(); got != v.Epoch {
				t.Errorf("the receiver sends in epoch %d, want %d", got, v.Epoch)
			}
		})
	}
}

func TestVectorsMisc(t *testing.T) {
	var f struct {
		Ping       hexBytes            `json:"ping"`
		OCCExit    hexBytes            `json:"occ_exit"`
		OCCRequest hexBytes            `json:"occ_request"`
		Comp       map[string]hexBytes `json:"comp"`
		Fragments  []struct {
			Type   string   `json:"type"`
			Seq    uint32   `json:"seq"`
			Index  int      `json:"index"`
			Size   int      `json:"size"`
			Header hexBytes `json:"header"`
		} `json:"fragment_headers"`
	}
	readVectors(t, "misc.json", &f)
	if !bytes.Equal(f.Ping, pingMagic) {
		t.Errorf("ping is %x", pingMagic)
	}
	for want, occ := range map[OCCType][]byte{OCCExit: f.OCCExit, OCCRequest: f.OCCRequest} {
		if got := AppendOCC(nil, want, nil); !bytes.Equal(got, occ) {
			t.Errorf("OCC %d is %x, want %x", want, got, occ)
		}
	}
	for name, framing := range map[string]Framing{"plain": FramingNone, "stub": FramingLZO, "swap": FramingStub} {
		got := framing.append(nil, f.Comp["plain"])
		if !bytes.Equal(got, f.Comp[name]) {
			t.Errorf("%s: %x, want %x", name, got, f.Comp[name])
		}
		if back, err := framing.strip(got, false); err != nil || !bytes.Equal(back, f.Comp["plain"]) {
			t.Errorf("%s back: %x, %v", name, back, err)
		}
	}
	for _, h := range f.Fragments {
		got := uint32(0)
		if h.Type != "whole" {
			got = fragmentHeader(h.Seq, h.Index, 3, max(h.Size, 412))
		}
		if want := binary.BigEndian.Uint32(h.Header); got != want {
			t.Errorf("%s fragment %d: %08x, want %08x", h.Type, h.Index, got, want)
		}
	}
	if got := fragmentSize(1228, 3); got != 412 {
		t.Errorf("1228 bytes in 3 fragments of %d, want 412", got)
	}
}
