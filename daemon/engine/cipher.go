package engine

import (
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// WarnWeak logs warnings when a data channel begins with a cipher of 64-bit blocks or none, or with packets that nothing authenticates, and
// another when reneg-bytes, below zero, leaves it to the cipher how much a key carries.
func WarnWeak(log logging.Func, cipher, auth string, renegBytes int64) {
	const reconsider = " PLEASE DO RECONSIDER THIS SETTING!"
	suite, ok := data.Lookup(cipher)
	short, none := ok && suite.ShortBlocks(), strings.EqualFold(cipher, "none")
	if short {
		log(logging.Warn, config.ShortBlocks, suite.Name)
	}
	if none {
		log(logging.Warn, "******* WARNING *******: '--cipher none' was specified. This means NO encryption will be performed and tunnelled data WILL "+
			"be transmitted in clear text over the network!"+reconsider)
	}
	if ok && suite.Mode != data.AEAD && strings.EqualFold(auth, "none") {
		log(logging.Warn, "******* WARNING *******: '--auth none' was specified. This means no authentication will be performed on received packets, "+
			"meaning you CANNOT trust that the data received by the remote side have NOT been manipulated."+reconsider)
	}
	if (short || none) && renegBytes < 0 {
		log(logging.Warn, "WARNING: cipher with small block size in use, reducing reneg-bytes to 64MB to mitigate SWEET32 attacks.")
	}
}
