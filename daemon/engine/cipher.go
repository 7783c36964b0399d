package engine

import (
	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// WarnShortBlocks logs a warning when a data channel begins with a cipher of 64-bit blocks.
func WarnShortBlocks(log logging.Func, cipher string) {
	if suite, ok := data.Lookup(cipher); ok && suite.ShortBlocks() {
		log(logging.Warn, config.ShortBlocks, suite.Name)
	}
}
