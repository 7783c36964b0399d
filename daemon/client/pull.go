package client

import (
	"encoding/hex"
	"errors"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// pushReply takes a part of the server's options. With the last one the data channel starts and the tunnel opens.
func (a *attempt) pushReply(msg, arg string) {
	a.log(logging.Steps, "PUSH: Received control message: '%s'", message.Redact(msg))
	if !a.opts.Pull {
		return
	}
	if a.pull.Pulled() {
		a.c.renewToken(a.base, arg)
		return
	}
	complete, ok := a.pull.Reply(arg)
	if !ok {
		a.log(logging.Warn, "WARNING: Received bad push/pull message: too many options")
		a.end(engine.USR1, mgmt.ReasonPushFailed)
		return
	}
	if !complete {
		return
	}
	a.stage.Reach(session.Configured)
	res, err := a.opts.ApplyPushed(a.prof, a.pull.Options.Options)
	if res != nil {
		for _, n := range res.Notes {
			a.log(n.Level, "%s", n.Text)
		}
		if res.Rejected != "" {
			a.log(logging.Warn, "WARNING: Received bad push/pull message: %s", message.Redact(msg))
			a.end(engine.USR1, mgmt.ReasonPushOffending)
			return
		}
	}
	if err != nil {
		a.log(logging.Error, "%v", err)
		if errors.Is(err, config.ErrPulledCompression) {
			a.notApplied("OPTIONS ERROR: server pushed compression settings that are not allowed and will result in a non-working connection. See also allow-compression in the manual.",
				"ERROR: Failed to apply push options")
			return
		}
		a.end(engine.USR1, mgmt.ReasonPushFailed)
		return
	}
	a.imported(res)
}

// imported goes on with the options that are now complete.
func (a *attempt) imported(res *config.PushResult) {
	o := a.opts
	for _, e := range o.Echo[min(len(a.c.opts.Echo), len(o.Echo)):] {
		a.port.Echo(e)
	}
	for _, e := range o.Env[min(len(a.c.opts.Env), len(o.Env)):] {
		a.c.env.Set(e.Name, e.Value)
	}
	a.c.keepToken(o.AuthToken, o.AuthTokenUser)
	if o.Verb != a.c.opts.Verb {
		a.lg.SetVerb(o.Verb)
	}
	if o.Mute != a.c.opts.Mute {
		a.lg.SetMute(o.Mute)
	}
	a.timers.Limits = a.offloaded.limits(a.opts.Timers, a.report)
	pushed := session.Terms{Cipher: res.Cipher, EKM: o.KeyDerivationEKM, DynamicTLSCrypt: o.DynamicTLSCrypt, CCExit: o.CCExit, Epoch: o.AEADEpoch, V2: o.PeerID >= 0, PeerID: data.NoPeerID}
	if pushed.V2 {
		pushed.PeerID = uint32(o.PeerID)
	}
	terms, problems := session.PushedTerms(o.DataCiphers, o.DataCiphersFallback, pushed, a.their.options)
	if len(problems) > 0 {
		a.notApplied(problems...)
		return
	}
	if err := a.startChannel(terms); err != nil {
		a.log(logging.Error, "%v", err)
		a.end(engine.USR1, mgmt.ReasonPushFailed)
		return
	}
	a.bringUp(hex.EncodeToString(res.Digest[:]))
}

// notApplied starts the connection again because options that were pulled cannot work, and says why.
func (a *attempt) notApplied(problems ...string) {
	for _, line := range append(problems, "Failed to open tun/tap interface") {
		a.log(logging.Error, "%s", line)
	}
	a.end(engine.USR1, mgmt.ReasonPushFailed)
}
