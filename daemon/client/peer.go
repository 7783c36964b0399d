package client

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/message"
)

// peerID is the peer-id of two peers that negotiate without a pull and without exporter keys.
const peerID = 0x76706e

// negotiateAsPeers chooses cipher, keys and packet format from both peers' announcements: nothing is pushed.
//
// Only a peer that announces bit 5 of IV_PROTO negotiates; with any other one the fallback cipher, short headers and
// keys from the PRF are in use.
func (a *attempt) negotiateAsPeers() error {
	o := a.opts
	info := message.ParsePeerInfo(a.key.peerInfo)
	a.key.cipher = o.DataCiphersFallback
	if !info.Has(message.ProtoP2PNegotiation) {
		return a.startPeerChannel(-1)
	}
	theirs, _ := info.Ciphers()
	server, client := o.DataCiphers, theirs
	if role(o) == keys.Client {
		server, client = client, server
	}
	negotiated := message.SharedCipher(server, client)
	a.key.cipher = cmp.Or(negotiated, a.key.cipher)
	a.key.ekm = info.Has(message.ProtoTLSKeyExport)
	a.push.ccExit = info.Has(message.ProtoCCExit)
	o.KeyDerivationEKM, o.CCExit, o.DynamicTLSCrypt = a.key.ekm, a.push.ccExit, info.Has(message.ProtoDynamicTLSCrypt)
	if o.DynamicTLSCrypt {
		if err := a.session.EnableDynamicTLSCrypt(); err != nil {
			return err
		}
	}
	id := -1
	if info.Has(message.ProtoDataV2) {
		id = peerID
		if a.key.ekm {
			b, err := a.session.Export("EXPORTER-OpenVPN-p2p-peerid", 3)
			if err != nil {
				return fmt.Errorf("derive peer-id: %w", err)
			}
			id = int(binary.BigEndian.Uint32(append([]byte{0}, b...)))
		}
	}
	result := "(not negotiated, fallback-cipher: " + cmp.Or(a.key.cipher, "none") + ")"
	if negotiated != "" {
		result = negotiated
	}
	a.c.log(3, "", "P2P mode NCP negotiation result: TLS_export=%d, DATA_v2=%d, peer-id %d, cipher=%s", flag(a.key.ekm), flag(id >= 0), max(id, 0), result)
	return a.startPeerChannel(id)
}

var errNoPeerCipher = errors.New("ERROR: failed to negotiate cipher with peer and --data-ciphers-fallback not enabled. No usable data channel cipher") //nolint:staticcheck // stock's line

func (a *attempt) startPeerChannel(id int) error {
	if a.key.cipher == "" {
		return errNoPeerCipher
	}
	return a.startChannel(id)
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}
