package client

import (
	"context"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/daemon/tunnel"
	"github.com/moongate-vpn/moongate/mgmt"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// pushUpdate takes a part of an update: options the server changes during the connection.
//
// Rule: docs/protocol.md#47-push_update-27.
func (a *attempt) pushUpdate(msg, arg string) {
	a.log(logging.Steps, "PUSH: Received control message: '%s'", message.Redact(msg))
	switch err := a.pull.Update(arg); {
	case errors.Is(err, session.ErrEarlyUpdate):
		a.log(logging.Warn, "WARNING: a push update before the options it could change, or without --pull: ignored")
	case err != nil:
		a.updateFailed(err, mgmt.ReasonPushFailed)
	default:
		a.nextUpdate()
	}
}

// nextUpdate starts the oldest update that waits, when the tunnel is open and no other work on it runs. All of it is
// known to be right before anything is changed; otherwise the connection starts again.
func (a *attempt) nextUpdate() {
	if a.stop != nil {
		return
	}
	entries, ok := a.pull.NextUpdate()
	if !ok {
		return
	}
	u, err := a.c.opts.UpdatePushed(a.base, a.pull.Options.Options, entries)
	for _, n := range u.Notes {
		a.log(n.Level, "%s", n.Text)
	}
	if u.Rejected != "" {
		a.log(logging.Warn, "WARNING: Received bad push/pull message: %s", message.Redact("PUSH_UPDATE,"+strings.Join(entries, ",")))
		a.end(engine.USR1, mgmt.ReasonPushOffending)
		return
	}
	if err != nil {
		a.updateFailed(err, mgmt.ReasonPushOffending)
		return
	}
	server := a.peer.Addr.Addr()
	a.help(func(ctx context.Context) func() {
		change, routesOK, err := a.c.tunnel.update(ctx, u, server)
		return func() { a.updated(u, change, routesOK, err) }
	})
}

// updated is the end of what a helper did for an update.
func (a *attempt) updated(u *config.Update, change tunnel.Change, routesOK bool, err error) {
	if err != nil {
		a.updateFailed(err, mgmt.ReasonPushFailed)
		return
	}
	a.opts, a.prof = u.Options, u.Profile
	a.pull.Updated(u.Pushed)
	a.timers.Limits = a.offloaded.limits(a.opts.Timers, a.report)
	a.publish(a.c.tunnel)
	how := ""
	if !routesOK {
		how = " with route errors"
	}
	a.log(logging.Info, "Push update completed%s", how)
	if change.Addresses {
		a.c.announce()
	}
	if change.Addresses || change.Routes {
		a.tellConnected(routesOK)
	}
	a.nextUpdate()
}

// updateFailed starts the connection again, with whatever the server then pushes.
func (a *attempt) updateFailed(err error, reason string) {
	a.log(logging.Warn, "WARNING: push update failed, restarting: %v", err)
	a.end(engine.USR1, reason)
}

// update changes the open tunnel. It runs beside the owner, which leaves the tunnel alone meanwhile.
func (d *device) update(ctx context.Context, u *config.Update, server netip.Addr) (c tunnel.Change, routesOK bool, err error) {
	next, err := d.Next(ctx, u.Options, u.Profile, server)
	if err != nil {
		return c, false, err
	}
	c = d.Difference(next)
	d.digest = "" // what is half done is not kept over a restart
	if routesOK, err = d.Become(ctx, next); err != nil {
		return c, false, err
	}
	d.digest = hex.EncodeToString(u.Digest[:])
	return c, routesOK, nil
}
