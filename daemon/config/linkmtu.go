package config

import (
	"cmp"
	"strings"
)

// applyLinkMTU turns link-mtu, the size of an encrypted packet, into the tunnel's: stock takes off what the configured cipher and digest
// would add. It does not wait for the cipher that is negotiated.
func (p *parser) applyLinkMTU() error {
	for i := range p.o.Connections {
		c := &p.o.Connections[i]
		if c.LinkMTU == 0 || c.TunMTUDefined {
			continue
		}
		n := c.LinkMTU - p.o.linkOverhead(c)
		if n < minMTU {
			return errorf("--link-mtu %d leaves %d bytes for packets of the tunnel, fewer than %d", c.LinkMTU, n, minMTU)
		}
		c.TunMTU = n
	}
	return nil
}

// linkOverhead counts the bytes that the configured cipher and digest add to a packet, as 2.6.14 and 2.7.8 count: the opcode, the frame of TCP, and
//
//	no cipher    packet id, digest
//	AEAD         packet id, tag, nonce, a block
//	CBC          digest, IV, a block
//	CFB, OFB     a packet id with time, digest, IV, a block
func (o *Options) linkOverhead(c *Connection) int {
	n := 1
	if o.Secret.Set() {
		n = 0
	}
	if c.Proto.IsTCP() {
		n += 2
	}
	digest := map[string]int{"MD5": 16, "SHA1": 20, "SHA224": 28, "SHA256": 32, "SHA384": 48, "SHA512": 64}[strings.ToUpper(o.Auth)]
	switch cipher := strings.ToUpper(cmp.Or(o.DataCiphersFallback, o.Cipher)); {
	case strings.HasSuffix(cipher, "-GCM"):
		n += 4 + 16 + 12 + 16
	case cipher == "CHACHA20-POLY1305":
		n += 4 + 16 + 12 + 1
	case cipher == "BF-CBC", strings.HasPrefix(cipher, "DES-"), strings.HasPrefix(cipher, "CAST5-"):
		n += digest + 8 + 8
	case strings.HasSuffix(cipher, "-CBC"):
		n += digest + 16 + 16
	case strings.Contains(cipher, "-CFB"), strings.HasSuffix(cipher, "-OFB"):
		n += 8 + digest + 16 + 16
	default:
		n += 4 + digest
	}
	return n
}
