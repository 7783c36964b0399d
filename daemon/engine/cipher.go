package engine

import (
	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// WarnShortBlocks logs a warning when a data channel begins with a cipher of 64-bit blocks, and another when reneg-bytes, below zero,
// leaves it to the cipher how much a key carries.
func WarnShortBlocks(log logging.Func, cipher string, renegBytes int64) {
	suite, ok := data.Lookup(cipher)
	if !ok || !suite.ShortBlocks() {
		return
	}
	log(logging.Warn, config.ShortBlocks, suite.Name)
	if renegBytes < 0 {
		log(logging.Warn, "WARNING: cipher with small block size in use, reducing reneg-bytes to 64MB to mitigate SWEET32 attacks.")
	}
}
