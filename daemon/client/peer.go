package client

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/message"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"
)

var errNoPeerCipher = errors.New("ERROR: failed to negotiate cipher with peer and --data-ciphers-fallback not enabled. No usable data channel cipher") //nolint:staticcheck // stock's line

// peerNegotiated goes on without a pull: what both key messages say decides.
func (a *attempt) peerNegotiated() {
	terms, err := peerTerms(a.report, a.opts, &a.their.info, a.session.Export)
	if err == nil {
		err = a.startChannel(terms)
	}
	if err != nil {
		a.log(logging.Error, "%v", err)
		a.log(logging.Error, "ERROR: Failed to apply P2P negotiated protocol options")
		a.end(engine.USR1, mgmt.ReasonInitFailed)
		return
	}
	a.bringUp("")
}

// peerTerms chooses cipher, keys and packet format from both peers' announcements: nothing is pushed.
func peerTerms(r *report, o *config.Options, their *message.PeerInfo, export func(label string, n int) ([]byte, error)) (session.Terms, error) {
	terms, negotiated, err := session.PeerTerms(role(o), o.DataCiphers, o.DataCiphersFallback, their, export)
	if err != nil && !errors.Is(err, session.ErrNoPeerCipher) {
		return terms, err
	}
	if their.Has(message.ProtoP2PNegotiation) {
		result := cmp.Or(negotiated, "(not negotiated, fallback-cipher: "+cmp.Or(terms.Cipher, "none")+")")
		id := uint32(0)
		if terms.V2 {
			id = terms.PeerID
		}
		epoch := ""
		if o.Compat.LogsEpoch() {
			epoch = fmt.Sprintf("epoch=%d, ", digit(terms.Epoch))
		}
		r.log(logging.Steps, "P2P mode NCP negotiation result: TLS_export=%d, DATA_v2=%d, peer-id %d, %scipher=%s", digit(terms.EKM), digit(terms.V2), id, epoch, result)
	}
	if err != nil {
		return terms, errNoPeerCipher
	}
	return terms, nil
}

func digit(on bool) int {
	if on {
		return 1
	}
	return 0
}
