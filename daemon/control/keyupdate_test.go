package control

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// recorder writes the records of a TLS 1.3 client behind its TLS library's back.
type recorder struct {
	t      *testing.T
	hash   func() hash.Hash
	keyLen int
	secret []byte
	seq    uint64
}

// newRecorder goes on where the client has written seq records, by what it wrote into its key log.
func newRecorder(t *testing.T, keyLog string, suite uint16, seq uint64) *recorder {
	t.Helper()
	r := &recorder{t: t, hash: sha256.New, keyLen: 16, seq: seq}
	switch suite {
	case tls.TLS_AES_128_GCM_SHA256:
	case tls.TLS_AES_256_GCM_SHA384:
		r.hash, r.keyLen = sha512.New384, 32
	default:
		t.Fatalf("no recorder for %s", tls.CipherSuiteName(suite))
	}
	for line := range strings.Lines(keyLog) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			r.secret, _ = hex.DecodeString(f[2])
		}
	}
	if len(r.secret) == 0 {
		t.Fatal("no secret in the key log")
	}
	return r
}

func (r *recorder) expand(label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len("tls13 "+label)))
	info = append(append(info, "tls13 "+label...), 0)
	out, err := hkdf.Expand(r.hash, r.secret, string(info), n)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// record is one record with the content type kind.
func (r *recorder) record(kind byte, content ...byte) []byte {
	block, err := aes.NewCipher(r.expand("key", r.keyLen))
	if err != nil {
		r.t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		r.t.Fatal(err)
	}
	nonce := r.expand("iv", 12)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^r.seq)
	r.seq++
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(content)+1+aead.Overhead()))
	return aead.Seal(head, nonce, append(content, kind), head)
}

// keyUpdate asks the peer for an answer of the same kind.
func (r *recorder) keyUpdate() []byte {
	b := r.record(22, 24, 0, 0, 1, 1)
	r.secret, r.seq = r.expand("traffic upd", r.hash().Size()), 0
	return b
}

// What a peer makes TLS answer waits for its acknowledgements: of one that never acknowledges no more is read.
func TestAnswersThatNobodyTakes(t *testing.T) {
	cert := certified(t)
	var keyLog bytes.Buffer
	now := time.Now()
	newEnd := func(role keys.Role, c *tls.Config) *Session {
		s, err := New(Config{Role: role, TLS: c, Wrap: ctrlwrap.NewPlain(), LocalOptions: "V4"}, now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	server := newEnd(keys.Server, &tls.Config{Certificates: []tls.Certificate{cert}})
	client := newEnd(keys.Client, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: &keyLog, MinVersion: tls.VersionTLS13})
	deaf := false
	exchange := func() {
		now = now.Add(10 * time.Millisecond)
		for _, s := range []*Session{client, server} {
			s.Step(now)
			for e, ok := s.Event(); ok; e, ok = s.Event() {
				switch e := e.(type) {
				case NeedCredentials:
					_ = s.SetCredentials("", "")
				case Active:
					_, _ = s.KeyBlock(e.KeyID, true)
				}
			}
		}
		for _, pkt := range client.Output() {
			_ = server.Input(pkt, now)
		}
		for _, pkt := range server.Output() {
			if !deaf {
				_ = client.Input(pkt, now)
				continue
			}
			// It hears what the server acknowledges, and acknowledges nothing.
			op, _, _, body, err := wire.ParseControlHeader(pkt)
			var b wire.ControlBody
			if err != nil || b.Parse(body, op) != nil {
				t.Fatalf("the server sends %x", pkt)
			}
			client.primary.send.Ack(b.Acks, now)
		}
	}
	up := func() bool {
		return client.primary.phase == phaseActive && server.primary != nil && server.primary.phase == phaseActive
	}
	for end := time.Now().Add(15 * time.Second); !up(); time.Sleep(time.Millisecond) {
		if exchange(); time.Now().After(end) {
			t.Fatal("no connection")
		}
	}
	deaf = true
	k := client.primary
	r := newRecorder(t, keyLog.String(), k.stream.conn.ConnectionState().CipherSuite, 1)
	const flood = 2 << 20
	sent, stalled := 0, 0
	for sent < flood && stalled < 100 {
		if !k.send.Empty() || len(k.backlog) > 0 {
			exchange()
			stalled++
			continue
		}
		stalled = 0
		// Sixteen at most in a row, else TLS takes them for useless.
		for range 40 {
			for range 15 {
				b := r.keyUpdate()
				sent += len(b)
				_, _ = k.stream.pipe.Write(b)
			}
			_, _ = k.stream.pipe.Write(r.record(23, 0))
		}
		exchange()
	}
	waiting := len(server.primary.backlog) + len(server.primary.stream.take())
	if waiting == 0 {
		t.Fatalf("the server answers nothing: its key is in phase %d", server.primary.phase)
	}
	t.Logf("%d bytes of requests, %d bytes of answers wait", sent, waiting)
	if most := maxWaiting + 2*maxPending; waiting > most {
		t.Errorf("%d bytes wait for a peer that acknowledges nothing, want %d at most", waiting, most)
	}
}
