package client

import (
	"context"

	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"
)

// askFinal asks plugins about the end of a key exchange (PLUGIN_TLS_FINAL). A key that they refuse, or put off, ends the
// client, as with stock. unsure counts keys without an answer.
func (a *attempt) askFinal(unsure *int) {
	if !a.c.hooks.Wanted("", plugin.TLSFinal) {
		return
	}
	*unsure++
	call := hooks.Call{Event: plugin.TLSFinal, Tag: "tls-final", Type: "tls-final", Env: a.c.env.Clone(), Log: a.log}
	a.help(func(ctx context.Context) func() {
		err := a.c.hooks.TellPlugins(ctx, call)
		return func() {
			*unsure--
			if err != nil {
				a.end(engine.TERM, mgmt.ReasonAuthControl)
			}
		}
	})
}

// undecided reports whether plugins have not yet answered about the first key: what the peer says under it has to wait. A
// renewed key is in use already.
func (a *attempt) undecided() bool { return a.unsure > 0 && a.stage < session.Authorised }
