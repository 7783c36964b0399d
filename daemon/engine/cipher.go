package engine

import (
	"fmt"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// WarnWeak logs warnings when a data channel begins with a cipher of 64-bit blocks or none, or with packets that nothing authenticates, and
// another when reneg-bytes, below zero, leaves it to the cipher how much a key carries.
func WarnWeak(log logging.Func, cipher, auth string, renegBytes int64) {
	suite, ok := data.Lookup(cipher)
	short, none := ok && suite.ShortBlocks(), isNone(cipher)
	if short {
		log(logging.Warn, config.ShortBlocks, suite.Name)
	}
	if none {
		log(logging.Warn, config.NoEncryption)
	}
	if ok && suite.Mode != data.AEAD && isNone(auth) {
		log(logging.Warn, "******* WARNING *******: '--auth none' was specified. This means no authentication will be performed on received packets, "+
			"meaning you CANNOT trust that the data received by the remote side have NOT been manipulated. PLEASE DO RECONSIDER THIS SETTING!")
	}
	if (short || none) && renegBytes < 0 {
		log(logging.Warn, "WARNING: cipher with small block size in use, reducing reneg-bytes to 64MB to mitigate SWEET32 attacks.")
	}
}

// CipherInLog returns how the log names the cipher of a data channel, and the digest of one that has it.
func CipherInLog(cipher, auth string) string {
	suite, ok := data.Lookup(cipher)
	if ok && suite.Mode == data.Plain {
		cipher = "[null-cipher]"
	}
	line := fmt.Sprintf("cipher '%s'", cipher)
	if ok && suite.Mode == data.AEAD {
		return line
	}
	if isNone(auth) {
		auth = "[null-digest]"
	}
	return line + fmt.Sprintf(", auth '%s'", auth)
}

func isNone(name string) bool { return strings.EqualFold(name, "none") }
