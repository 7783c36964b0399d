package session

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/message"
)

// Bits of IV_PROTO that the cases announce.
const (
	v2, ekm, p2p, exit, dynamic, epoch = message.ProtoDataV2, message.ProtoTLSKeyExport, message.ProtoP2PNegotiation, message.ProtoCCExit, message.ProtoDynamicTLSCrypt, message.ProtoDataEpoch
)

func peer(ciphers string, bits ...message.Proto) *message.PeerInfo {
	p := message.ParsePeerInfo("IV_CIPHERS=" + ciphers + "\n")
	for _, b := range bits {
		p.Proto |= b
	}
	return &p
}

func TestServerTerms(t *testing.T) {
	for _, c := range []struct {
		name     string
		ours     string
		fallback string
		peer     *message.PeerInfo
		options  string
		want     Terms
		flags    string
		err      bool
	}{
		{name: "everything", ours: "AES-256-GCM", peer: peer("AES-256-GCM", v2, ekm, exit, dynamic, epoch),
			want:  Terms{Cipher: "AES-256-GCM", EKM: true, DynamicTLSCrypt: true, CCExit: true, Epoch: true, V2: true, PeerID: 7},
			flags: "cc-exit tls-ekm dyn-tls-crypt aead-epoch"},
		{name: "no epochs for a cipher with HMAC", ours: "AES-256-CBC", peer: peer("AES-256-CBC", v2, ekm, exit, epoch),
			want: Terms{Cipher: "AES-256-CBC", EKM: true, CCExit: true, V2: true, PeerID: 7}, flags: "cc-exit tls-ekm"},
		{name: "no epochs without exporter keys", ours: "AES-256-GCM", peer: peer("AES-256-GCM", v2, exit, epoch),
			want: Terms{Cipher: "AES-256-GCM", CCExit: true, V2: true, PeerID: 7}, flags: "cc-exit"},
		{name: "flags need the message that brings them", ours: "AES-256-GCM", peer: peer("AES-256-GCM", v2, ekm, dynamic, epoch),
			want: Terms{Cipher: "AES-256-GCM", EKM: true, V2: true, PeerID: 7}, flags: "tls-ekm"},
		{name: "no bit counts without the first", ours: "AES-256-GCM", peer: peer("AES-256-GCM", ekm, exit),
			want: Terms{Cipher: "AES-256-GCM", PeerID: data.NoPeerID}},
		{name: "nothing in common", ours: "AES-256-GCM", peer: peer("AES-128-GCM", v2), err: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ServerTerms(strings.Split(c.ours, ":"), c.fallback, c.peer, c.options, 7)
			if (err != nil) != c.err {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if flags := strings.Join(got.Flags(), " "); flags != c.flags {
				t.Errorf("flags %q, want %q", flags, c.flags)
			}
		})
	}
}

func TestPushedTerms(t *testing.T) {
	for _, c := range []struct {
		name    string
		pushed  Terms
		options string
		want    Terms
		fails   bool
	}{
		{name: "as pushed", pushed: Terms{Cipher: "AES-128-GCM", EKM: true, Epoch: true, V2: true, PeerID: 3}, want: Terms{Cipher: "AES-128-GCM", EKM: true, Epoch: true, V2: true, PeerID: 3}},
		{name: "epochs without exporter keys", pushed: Terms{Cipher: "AES-128-GCM", Epoch: true}, want: Terms{Cipher: "AES-128-GCM"}},
		{name: "a cipher we do not allow", pushed: Terms{Cipher: "AES-256-CBC", V2: true}, fails: true},
		{name: "no cipher pushed, one of the options string", options: "V4,dev-type tun,cipher AES-128-GCM", want: Terms{Cipher: "AES-128-GCM"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, problems := PushedTerms([]string{"AES-256-GCM", "AES-128-GCM"}, "", c.pushed, c.options)
			if (len(problems) > 0) != c.fails {
				t.Fatalf("problems %q", problems)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPeerTerms(t *testing.T) {
	errExport := errors.New("no exporter")
	export := func(string, int) ([]byte, error) { return []byte{1, 2, 3}, nil }
	broken := func(string, int) ([]byte, error) { return nil, errExport }
	for _, c := range []struct {
		name       string
		role       keys.Role
		fallback   string
		peer       *message.PeerInfo
		export     func(string, int) ([]byte, error)
		want       Terms
		negotiated string
		err        error
	}{
		{name: "a peer that does not negotiate", fallback: "AES-256-CBC", peer: peer("AES-256-GCM", v2, ekm), want: Terms{Cipher: "AES-256-CBC", PeerID: data.NoPeerID}},
		{name: "and no fallback", peer: peer("AES-256-GCM", v2), want: Terms{PeerID: data.NoPeerID}, err: ErrNoPeerCipher},
		{name: "the server's order, from the server", role: keys.Server, peer: peer("AES-128-GCM:AES-256-GCM", v2, p2p), want: Terms{Cipher: "AES-256-GCM", V2: true, PeerID: peerID}, negotiated: "AES-256-GCM"},
		{name: "the server's order, from the client", role: keys.Client, peer: peer("AES-128-GCM:AES-256-GCM", v2, p2p), want: Terms{Cipher: "AES-128-GCM", V2: true, PeerID: peerID}, negotiated: "AES-128-GCM"},
		{name: "a peer-id of the exporter", role: keys.Server, peer: peer("AES-256-GCM", v2, p2p, ekm, exit, dynamic),
			want: Terms{Cipher: "AES-256-GCM", EKM: true, CCExit: true, DynamicTLSCrypt: true, V2: true, PeerID: 0x010203}, negotiated: "AES-256-GCM"},
		{name: "epochs", role: keys.Server, peer: peer("AES-256-GCM", v2, p2p, ekm, exit, epoch),
			want: Terms{Cipher: "AES-256-GCM", EKM: true, CCExit: true, Epoch: true, V2: true, PeerID: 0x010203}, negotiated: "AES-256-GCM"},
		{name: "no epochs for the fallback with HMAC", role: keys.Server, fallback: "AES-192-CBC", peer: peer("AES-192-GCM", v2, p2p, ekm, exit, epoch),
			want: Terms{Cipher: "AES-192-CBC", EKM: true, CCExit: true, V2: true, PeerID: 0x010203}},
		{name: "an exporter that fails", role: keys.Server, peer: peer("AES-256-GCM", v2, p2p, ekm), export: broken,
			want: Terms{Cipher: "AES-256-GCM", EKM: true, V2: true, PeerID: peerID}, negotiated: "AES-256-GCM", err: errExport},
		{name: "nothing in common, with a fallback", role: keys.Server, fallback: "AES-192-CBC", peer: peer("AES-192-GCM", v2, p2p), want: Terms{Cipher: "AES-192-CBC", V2: true, PeerID: peerID}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.export == nil {
				c.export = export
			}
			got, negotiated, err := PeerTerms(c.role, []string{"AES-256-GCM", "AES-128-GCM"}, c.fallback, c.peer, c.export)
			if !errors.Is(err, c.err) || negotiated != c.negotiated {
				t.Errorf("negotiated %q, error %v, want %q, %v", negotiated, err, c.negotiated, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
