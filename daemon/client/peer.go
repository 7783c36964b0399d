package client

import (
	"cmp"
	"errors"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"

	"github.com/moongate-vpn/moongate/daemon/message"
)

var errNoPeerCipher = errors.New("ERROR: failed to negotiate cipher with peer and --data-ciphers-fallback not enabled. No usable data channel cipher") //nolint:staticcheck // stock's line

// negotiateAsPeers chooses cipher, keys and packet format from both peers' announcements: nothing is pushed.
func (a *attempt) negotiateAsPeers() error {
	o := a.opts
	terms, negotiated, err := session.PeerTerms(role(o), o.DataCiphers, o.DataCiphersFallback, &a.their.info, a.session.Export)
	if err != nil && !errors.Is(err, session.ErrNoPeerCipher) {
		return err
	}
	if a.their.info.Has(message.ProtoP2PNegotiation) {
		result := cmp.Or(negotiated, "(not negotiated, fallback-cipher: "+cmp.Or(terms.Cipher, "none")+")")
		id := uint32(0)
		if terms.V2 {
			id = terms.PeerID
		}
		a.c.log(logging.Steps, "P2P mode NCP negotiation result: TLS_export=%d, DATA_v2=%d, peer-id %d, cipher=%s", digit(terms.EKM), digit(terms.V2), id, result)
	}
	if err != nil {
		return errNoPeerCipher
	}
	return a.startChannel(terms)
}

func digit(on bool) int {
	if on {
		return 1
	}
	return 0
}
