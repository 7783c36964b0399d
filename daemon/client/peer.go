package client

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/keys"
)

// peerID is the peer-id of two peers that negotiate without a pull and without exporter keys.
const peerID = 0x76706e

// negotiateAsPeers chooses cipher, keys and packet format from both peers' announcements: nothing is pushed.
//
// Only a peer that announces bit 5 of IV_PROTO negotiates; with any other one the fallback cipher, short headers and
// keys from the PRF are in use.
func (a *attempt) negotiateAsPeers() error {
	o := a.opts
	info := parseInfo(a.key.peerInfo)
	theirs, _ := strconv.Atoi(info["IV_PROTO"])
	a.key.cipher = o.DataCiphersFallback
	if a.key.cipher == "" {
		a.key.cipher = o.Cipher
	}
	if theirs&protoP2PNCP == 0 {
		return a.startChannel(-1)
	}
	server, client := o.DataCiphers, strings.Split(info["IV_CIPHERS"], ":")
	if role(o) == keys.Client {
		server, client = client, server
	}
	if cipher := common(server, client); cipher != "" {
		a.key.cipher = cipher
	}
	a.key.ekm = theirs&protoEKM != 0
	a.push.ccExit = theirs&protoCCExit != 0
	o.KeyDerivationEKM, o.CCExit, o.DynamicTLSCrypt = a.key.ekm, a.push.ccExit, theirs&protoDynamicCrypt != 0
	if o.DynamicTLSCrypt {
		if err := a.session.EnableDynamicTLSCrypt(); err != nil {
			return err
		}
	}
	id := -1
	if theirs&protoDataV2 != 0 {
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

// common is the first of the server's ciphers that the client has too.
func common(server, client []string) string {
	for _, s := range server {
		if s != "" && contains(client, s) {
			return s
		}
	}
	return ""
}

// parseInfo splits peer info into its variables.
func parseInfo(text string) map[string]string {
	vars := make(map[string]string)
	for line := range strings.SplitSeq(text, "\n") {
		if name, value, ok := strings.Cut(line, "="); ok {
			vars[name] = value
		}
	}
	return vars
}
