package client

import (
	"encoding/binary"
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
	if a.key.cipher == "" {
		a.key.cipher = o.Cipher
	}
	if !info.Has(message.ProtoP2PNegotiation) {
		return a.startChannel(-1)
	}
	theirs, _ := info.Ciphers()
	server, client := o.DataCiphers, theirs
	if role(o) == keys.Client {
		server, client = client, server
	}
	if cipher := message.SharedCipher(server, client); cipher != "" {
		a.key.cipher = cipher
	}
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
	return a.startChannel(id)
}
