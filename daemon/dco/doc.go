// Package dco encodes and decodes the messages of the kernel's generic netlink family "ovpn", which moves the data channel
// into the kernel: commands about peers and keys, and the kernel's notifications. Messages need no I/O: values go
// in, the bytes behind the netlink header come out, and back. Socket finds the family in the running kernel and carries them.
//
//	message   command u8 | version u8 | 0 u16 | attributes
//	peer      IFINDEX u32, PEER { ID, REMOTE_…, SOCKET, VPN_…, LOCAL_…, KEEPALIVE_…, DEL_REASON, counters }
//	key       IFINDEX u32, KEYCONF { PEER_ID, SLOT, KEY_ID, CIPHER_ALG, ENCRYPT_DIR { key, nonce }, DECRYPT_DIR { … } }
//
// Integers are in the byte order of the machine, addresses and ports in that of the network.
//
// Rule: docs/protocol.md#12-the-kernels-data-channel.
package dco

// Family is the name of the generic netlink family, Group its multicast group for notifications, Version the version that requests
// carry.
const (
	Family  = "ovpn"
	Group   = "peers"
	Version = 1
)

// Command names the request or the event of a message.
type Command uint8

// Commands, numbered as in the kernel's specification.
const (
	PeerNew    Command = 1 + iota
	PeerSet            // changes a peer
	PeerGet            // asks for one peer, or in a dump for all
	PeerDel            // removes a peer
	PeerDelNtf         // the kernel removed a peer: its reason tells why
	KeyNew             // puts a key into a slot
	KeyGet             // asks which key is in a slot; the answer has no key material
	KeySwap            // exchanges primary and secondary
	KeySwapNtf         // the primary key has used up its packet ids: renegotiate
	KeyDel             // removes the key of a slot
)

var commandNames = [...]string{
	PeerNew: "peer-new", PeerSet: "peer-set", PeerGet: "peer-get", PeerDel: "peer-del", PeerDelNtf: "peer-del-ntf",
	KeyNew: "key-new", KeyGet: "key-get", KeySwap: "key-swap", KeySwapNtf: "key-swap-ntf", KeyDel: "key-del",
}

// String is the command's name in the kernel's specification.
func (c Command) String() string {
	if int(c) < len(commandNames) && commandNames[c] != "" {
		return commandNames[c]
	}
	return "unknown"
}

// aboutKey reports whether a command carries a key; all others carry a peer.
func (c Command) aboutKey() bool { return c >= KeyNew && c <= KeyDel }

// Attributes of a message, of a peer, of a key and of one direction of it, numbered as in the kernel's specification.
const (
	attrIfindex = 1 + iota
	attrPeer
	attrKeyconf
)

const (
	peerID = 1 + iota
	peerRemoteIPv4
	peerRemoteIPv6
	peerRemoteIPv6Scope
	peerRemotePort
	peerSocket
	peerSocketNetNSID
	peerVPNIPv4
	peerVPNIPv6
	peerLocalIPv4
	peerLocalIPv6
	peerLocalPort
	peerKeepaliveInterval
	peerKeepaliveTimeout
	peerDelReason
	peerVPNRxBytes
	peerVPNTxBytes
	peerVPNRxPackets
	peerVPNTxPackets
	peerLinkRxBytes
	peerLinkTxBytes
	peerLinkRxPackets
	peerLinkTxPackets
)

const (
	keyPeerID = 1 + iota
	keySlot
	keyID
	keyCipher
	keyEncrypt
	keyDecrypt
)

const (
	dirKey = 1 + iota
	dirNonceTail
)
