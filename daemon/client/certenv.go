package client

import (
	"encoding/hex"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// exportKeyingMaterial sets the variable of keying-material-exporter for the session's first key.
func (a *attempt) exportKeyingMaterial(e control.TLSUp) {
	if a.opts.ExporterLabel == "" {
		return
	}
	b, err := e.State.ExportKeyingMaterial(a.opts.ExporterLabel, nil, a.opts.ExporterLength)
	if err != nil {
		a.c.log(logging.Warn, "WARNING: Export of keying material failed: %v", err)
		return
	}
	a.c.env.Set("exported_keying_material", hex.EncodeToString(b))
}
