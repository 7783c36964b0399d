package session

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/message"
)

// Terms hold the agreement of two peers for a session.
type Terms struct {
	Cipher          string
	EKM             bool // data keys come from the TLS exporter
	DynamicTLSCrypt bool // renewals are wrapped with a key of this session
	CCExit          bool // the farewell is a text of the control channel
	Epoch           bool // data keys change by epochs
	V2              bool // data packets carry a peer-id
	PeerID          uint32
}

// Flags are the terms as PUSH_REPLY and the log name them.
func (t *Terms) Flags() []string {
	var names []string
	for _, f := range []struct {
		on   bool
		name string
	}{{t.CCExit, "cc-exit"}, {t.EKM, "tls-ekm"}, {t.DynamicTLSCrypt, "dyn-tls-crypt"}, {t.Epoch, "aead-epoch"}} {
		if f.on {
			names = append(names, f.name)
		}
	}
	return names
}

// Authenticated reports whether the cipher does without an HMAC of its own.
func (t *Terms) Authenticated() bool {
	suite, ok := data.Lookup(t.Cipher)
	return ok && suite.Mode == data.AEAD
}

// Params are the parameters of a data channel as far as terms decide them.
func (t *Terms) Params(role keys.Role) data.Params {
	return data.Params{Role: role, Cipher: t.Cipher, Epoch: t.Epoch, V2: t.V2, PeerID: t.PeerID}
}

// ServerTerms are a server's terms with a client, by what the client announced: info, and the options string of its key
// message. Ciphers are the server's, in order of preference; fallback is for a client that does not negotiate, "" for none.
// peerID is pushed to the client. The error is the text for the client when there is no common cipher.
//
// Rule: docs/protocol.md#81-what-a-server-sends.
func ServerTerms(ciphers []string, fallback string, info *message.PeerInfo, options string, peerID uint32) (Terms, error) {
	cipher, err := message.ServerCipher(ciphers, info, options, fallback)
	if err != nil {
		return Terms{}, err
	}
	t := Terms{
		Cipher: cipher, EKM: info.Has(message.ProtoTLSKeyExport), CCExit: info.Has(message.ProtoCCExit),
		V2: info.Has(message.ProtoDataV2), PeerID: data.NoPeerID,
	}
	t.DynamicTLSCrypt = t.CCExit && info.Has(message.ProtoDynamicTLSCrypt)
	t.Epoch = t.CCExit && t.EKM && t.Authenticated() && info.Has(message.ProtoDataEpoch)
	if t.V2 {
		t.PeerID = peerID
	}
	return t, nil
}

// PushedTerms are a client's terms with a server that pushed some: its cipher, "" for none, its flags and its peer-id. Ciphers
// and fallback are the client's, options is the options string of the server's key message. Without a cipher in common there
// are no terms but problems, in stock's words.
func PushedTerms(ciphers []string, fallback string, pushed Terms, options string) (t Terms, problems []string) {
	t = pushed
	if t.Cipher, problems = message.ClientCipher(ciphers, fallback, pushed.Cipher, options); t.Cipher == "" {
		return Terms{}, problems
	}
	t.Epoch = t.Epoch && t.EKM && t.Authenticated()
	return t, nil
}

// ErrNoPeerCipher means that two peers have no cipher in common.
var ErrNoPeerCipher = errors.New("no cipher in common with the peer, and no fallback")

// peerID is the peer-id of two peers that negotiate without a pull and without exporter keys.
const peerID = 0x76706e

// PeerTerms are the terms of two peers that pull nothing, by what the other one announced. Only a peer with bit 5 of IV_PROTO
// negotiates; with any other one the fallback cipher, short headers and keys from the PRF are in use. export is the exporter
// of the TLS connection. Negotiated is the common cipher, "" for the fallback.
func PeerTerms(role keys.Role, ciphers []string, fallback string, info *message.PeerInfo, export func(label string, n int) ([]byte, error)) (t Terms, negotiated string, err error) {
	t = Terms{Cipher: fallback, PeerID: data.NoPeerID}
	if !info.Has(message.ProtoP2PNegotiation) {
		return t, "", t.needCipher()
	}
	server, client := ciphers, []string(nil)
	if client, _ = info.Ciphers(); role == keys.Client {
		server, client = client, server
	}
	negotiated = message.SharedCipher(server, client)
	t.Cipher = cmp.Or(negotiated, fallback)
	t.EKM, t.CCExit, t.DynamicTLSCrypt = info.Has(message.ProtoTLSKeyExport), info.Has(message.ProtoCCExit), info.Has(message.ProtoDynamicTLSCrypt)
	if t.V2 = info.Has(message.ProtoDataV2); t.V2 {
		t.PeerID = peerID
		if t.EKM {
			b, err := export("EXPORTER-OpenVPN-p2p-peerid", 3)
			if err != nil {
				return t, negotiated, fmt.Errorf("derive peer-id: %w", err)
			}
			t.PeerID = binary.BigEndian.Uint32(append([]byte{0}, b...))
		}
	}
	t.Epoch = t.V2 && t.EKM && t.CCExit && t.Authenticated() && info.Has(message.ProtoDataEpoch)
	return t, negotiated, t.needCipher()
}

func (t *Terms) needCipher() error {
	if t.Cipher == "" {
		return ErrNoPeerCipher
	}
	return nil
}
