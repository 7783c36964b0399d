package server

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/message"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

var _ server.PushUpdater = (*Server)(nil)

// Reasons to refuse an update, as the management port shows them.
var (
	errUpdateEmpty = errors.New("push-update: no options")
	errUpdateNone  = errors.New("no client updated")
)

// update holds the effects of one push-update command. What clients do with the options is up to them: the
// server itself acts on addresses only.
type update struct {
	messages []string
	ipv4     bool // addresses.Ifconfig replaces the client's, none where it is not set
	ipv6     bool // likewise addresses.IfconfigIPv6

	addresses *config.ClientConfig
}

// PushUpdate implements the management port's push-update commands: options go to one client, or to all that announced
// that they understand updates. It counts the clients reached. Nothing of it is kept for clients that come later.
//
// Rule: docs/protocol.md#94-push-update-broad-and-push-update-cid.
func (s *Server) PushUpdate(cid uint64, all bool, options string) (clients int, err error) {
	if !s.do(func(h *hub) {
		var u *update
		if u, err = h.set.update(options); err != nil {
			return
		}
		targets, deaf := h.updateTargets(cid, all)
		if deaf {
			h.logLine("", logging.Info, "PUSH_UPDATE: not sending message to unsupported peer with ID: %d", cid)
		}
		if len(targets) == 0 {
			err = errUpdateNone
			return
		}
		if err = h.vacant(u, targets); err != nil {
			return
		}
		now := time.Now()
		for _, i := range targets {
			for _, m := range u.messages {
				h.text(i, m, now)
			}
			h.readdress(h.set, i, u, now)
		}
		clients = len(targets)
	}) {
		return 0, ErrNotServing
	}
	return clients, err
}

// update reads the options of an update, comma-separated, and packs them into messages. In front of an option may stand
// "-", which takes all its values back and has none itself, and "?" for what a client may ignore; both in this order.
// Names are not checked: clients may know more of them.
func (s *setup) update(options string) (u *update, err error) {
	u = &update{addresses: s.NewClientConfig()}
	var list []string
	for o := range strings.SplitSeq(options, ",") {
		o = strings.TrimSpace(o)
		if o == "" {
			continue
		}
		rest, remove := strings.CutPrefix(o, "-")
		rest = strings.TrimPrefix(rest, "?")
		name, value, _ := strings.Cut(rest, " ")
		switch {
		case name == "" || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "?"):
			return nil, fmt.Errorf("push-update: '%s' has no name behind '-', '?' or '-?'", o)
		case remove && value != "":
			return nil, fmt.Errorf("push-update: '-%s' takes no value", name)
		}
		if err := s.updateAddress(u, name, value, remove); err != nil {
			return nil, err
		}
		if u.messages, err = message.PackPush("PUSH_UPDATE", []string{o}); err != nil {
			return nil, fmt.Errorf("push-update: '%.20s...' is too long: %d bytes", o, len(o))
		}
		list = append(list, o)
	}
	if len(list) == 0 {
		return nil, errUpdateEmpty
	}
	u.messages, err = message.PackPush("PUSH_UPDATE", list)
	return u, err
}

// updateAddress notes what an option of an update says about the client's address, if it does.
func (s *setup) updateAddress(u *update, name, value string, remove bool) error {
	var push string
	switch name {
	case "ifconfig":
		u.ipv4, u.addresses.Ifconfig, push = true, config.IfconfigPush{}, "ifconfig-push "
	case "ifconfig-ipv6":
		u.ipv6, u.addresses.IfconfigIPv6, push = true, config.IfconfigIPv6{}, "ifconfig-ipv6-push "
	}
	if push == "" || remove {
		return nil
	}
	if wrong := s.ParseClientConfig(u.addresses, "push-update", []byte(push+value)); len(wrong) > 0 {
		return fmt.Errorf("push-update: '%s %s' must be an address and its other end or netmask", name, value)
	}
	return nil
}

// updateTargets are the clients an update goes to. deaf says that the one asked for does not understand updates.
func (r *roster) updateTargets(cid uint64, all bool) (targets []*instance, deaf bool) {
	for _, i := range r.instances {
		switch {
		case !all && i.cid != cid || i.stage != session.Established:
		case i.info.Has(message.ProtoPushUpdate):
			targets = append(targets, i)
		case !all:
			deaf = true
		}
	}
	return targets, deaf
}

// vacant refuses an address for several clients, and that of another client: packets to that one would go astray.
func (r *roster) vacant(u *update, targets []*instance) error {
	for _, p := range []netip.Prefix{hostPrefix(u.addresses.Ifconfig.Local), hostPrefix(u.addresses.IfconfigIPv6.Local.Addr())} {
		if !p.IsValid() {
			continue
		}
		if len(targets) > 1 {
			return fmt.Errorf("push-update: %s is an address for one client, and there are %d", p.Addr(), len(targets))
		}
		for _, o := range r.instances {
			if o != targets[0] && o.stage != session.Gone && o.owns(p) {
				return fmt.Errorf("push-update: %s is the address of client %d", p.Addr(), o.cid)
			}
		}
	}
	return nil
}

// hostPrefix is the prefix of one address, invalid for none.
func hostPrefix(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// readdress makes new addresses of a client lead to it instead of those it had. The client keeps its lease: until it has read the
// update, its packets come from the old address, and no other client may have that.
func (r *routing) readdress(set *setup, i *instance, u *update, now time.Time) {
	if u.ipv4 {
		from := hostPrefix(i.virtual.v4)
		i.config.Ifconfig = u.addresses.Ifconfig
		i.virtual.v4, i.virtual.local4 = u.addresses.Ifconfig.Local, u.addresses.Ifconfig.Remote
		r.relearn(set, i, from, hostPrefix(i.virtual.v4), now)
	}
	if u.ipv6 {
		from := hostPrefix(i.virtual.v6.Addr())
		i.config.IfconfigIPv6 = u.addresses.IfconfigIPv6
		i.virtual.v6 = u.addresses.IfconfigIPv6.Local
		r.relearn(set, i, from, hostPrefix(i.virtual.v6.Addr()), now)
	}
}

// ownRoutes are the client's own addresses.
func (i *instance) ownRoutes() (own []route) {
	for _, p := range []netip.Prefix{hostPrefix(i.virtual.v4), hostPrefix(i.virtual.v6.Addr())} {
		if p.IsValid() {
			own = append(own, route{p, true})
		}
	}
	return own
}

// relearn takes one own address from a client and gives it another, either of them invalid for none. learn-address is told of both,
// and where it refuses the new one nothing leads there.
func (r *routing) relearn(set *setup, i *instance, from, to netip.Prefix, now time.Time) {
	if set.tap() || from == to {
		return
	}
	var lost, won []route // one at the most
	if to.IsValid() {
		won = []route{{to, true}}
	}
	if from.IsValid() {
		lost = []route{{from, true}}
		r.unlead(from, &i.dataPath, now)
		i.learned.prefixes = slices.DeleteFunc(i.learned.prefixes, func(p netip.Prefix) bool { return p == from })
		r.say.log(i, logging.Steps, "MULTI: Unlearn: %s -> %s", lost[0], i.prefix())
	}
	if !set.wants(set.LearnAddress, plugin.LearnAddress) {
		r.route(set, i, won, now)
		return
	}
	i.learned.reported = append(slices.DeleteFunc(i.learned.reported, func(l route) bool { return slices.Contains(lost, l) }), won...)
	who := r.say.subject(set, i)
	r.errands.inTurn(addressTurns(slices.Concat(lost, won)), hooks.OfEvent, func(ctx context.Context, a *aside) func(*hub) {
		for _, l := range lost {
			a.deleteAddress(ctx, who, l.String())
		}
		agreed := true
		for _, l := range won {
			agreed = a.learnAddress(ctx, who, "add", l)
		}
		return func(h *hub) {
			switch {
			case i.stage != session.Established:
			case !agreed:
				i.learned.reported = slices.DeleteFunc(i.learned.reported, func(l route) bool { return slices.Contains(won, l) })
			case i.owns(to): // no later update took it back
				h.route(h.set, i, won, time.Now())
			}
		}
	})
}
