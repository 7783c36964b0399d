package control

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest/pki"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/tls"
)

// Key messages that our own client would not send: the server takes what a C peer would see of them, up to 4095 bytes a
// string, or gives the session up.
func TestOddKeyMessages(t *testing.T) {
	str := func(s string) string { // with its length, and no NUL of its own
		return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s
	}
	head := "\x00\x00\x00\x00\x02" + strings.Repeat("r", 48+32+32) + str("V4\x00")
	long := strings.Repeat("x", 4095) + "\x00"
	for _, tt := range []struct {
		name, message string
		user, pass    string
		refused       bool
	}{
		{name: "plain", message: str("u\x00") + str("p\x00") + str(""), user: "u", pass: "p"},
		{name: "NUL inside", message: str("u\x00root\x00") + str("p\x00q\x00") + str(""), user: "u", pass: "p"},
		{name: "no NUL", message: str("user") + str("pass") + str(""), refused: true},
		{name: "4 KB name", message: str(long) + str("p\x00") + str(""), user: long[:4095], pass: "p"},
		{name: "4 KB password", message: str("u\x00") + str(long) + str(""), user: "u", pass: long[:4095]},
		{name: "more than 4 KB", message: str("u\x00") + str("x"+long) + str(""), refused: true},
		{name: "64 KB announced", message: str("u\x00") + "\xff\xff" + long, refused: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client, server := oddPair(t)
			var got *KeyMessage
			var failed error
			for now, step := time.Now(), 0; got == nil && failed == nil && step < 4000; step++ {
				now = now.Add(5 * time.Millisecond)
				for _, way := range [][2]*Session{{client, server}, {server, client}} {
					way[0].Step(now)
					for _, b := range way[0].Output() {
						_ = way[1].Input(b, now)
					}
				}
				for e, ok := client.Event(); ok; e, ok = client.Event() {
					if _, ok := e.(NeedCredentials); ok {
						if err := client.primary.stream.write([]byte(head + tt.message)); err != nil {
							t.Fatal(err)
						}
					}
				}
				for e, ok := server.Event(); ok; e, ok = server.Event() {
					switch e := e.(type) {
					case KeyMessage:
						got = &e
					case Failed:
						failed = e.Err
					}
				}
				time.Sleep(100 * time.Microsecond) // the handshakes have goroutines of their own
			}
			switch {
			case tt.refused:
				if got != nil {
					t.Errorf("the engine was given %d and %d bytes", len(got.Message.Username), len(got.Message.Password))
				}
			case got == nil:
				t.Fatalf("no key message: %v", failed)
			case got.Message.Username != tt.user || got.Message.Password != tt.pass:
				t.Errorf("got %.80q and %.80q, want %.80q and %.80q", got.Message.Username, got.Message.Password, tt.user, tt.pass)
			}
			t.Logf("failed: %v", failed)
		})
	}
}

// certified makes a certificate.
func certified(t *testing.T) tls.Certificate {
	t.Helper()
	ca, err := pki.NewCA("CA")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Spec{Name: "peer", Server: true})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(leaf.CertPEM, leaf.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// oddPair makes two sessions that trust each other.
func oddPair(t *testing.T) (client, server *Session) {
	t.Helper()
	cert := certified(t)
	now := time.Now()
	make := func(role keys.Role) *Session {
		s, err := New(Config{
			Role: role, TLS: &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true}, Wrap: ctrlwrap.NewPlain(), //nolint:gosec // both are ours
			LocalOptions: "V4", HandWindow: 20 * time.Second,
		}, now)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	return make(keys.Client), make(keys.Server)
}
