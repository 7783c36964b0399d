package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt/server"

	"github.com/moongate-vpn/moongate/daemon/message"
)

var _ server.PushUpdater = (*Server)(nil)

// updatable are the options that an update may change while a client is connected. OpenVPN 2.7 also takes addresses;
// here they belong to the session, whose packets from others are dropped.
//
// Rule: docs/protocol.md#94-push-update-broad-and-push-update-cid.
var updatable = []string{
	"block-ipv6", "block-outside-dns", "dhcp-option", "dns", "redirect-gateway", "redirect-private", "route", "route-gateway",
	"route-ipv6", "route-metric", "topology", "tun-mtu", "keepalive",
}

// Reasons to refuse an update, as the management port shows them.
var (
	errUpdateEmpty   = errors.New("push-update: no options")
	errUpdateClient  = errors.New("push-update: no such client")
	errUpdateSupport = errors.New("push-update: client does not support it")
)

// PushUpdate implements the management port's push-update commands: options go to one client, or to all that announced
// that they understand updates. It counts the clients reached.
func (s *Server) PushUpdate(cid uint64, all bool, options string) (clients int, err error) {
	messages, err := pushUpdate(options)
	if err != nil {
		return 0, err
	}
	s.do(func(h *hub) {
		now := time.Now()
		send := func(i *instance) {
			for _, m := range messages {
				h.text(i, m, now)
			}
			clients++
		}
		if all {
			for _, i := range h.instances {
				if i.stage == session.Established && i.info.Has(message.ProtoPushUpdate) {
					send(i)
				}
			}
			return
		}
		switch i := h.instances[cid]; {
		case i == nil || i.stage != session.Established:
			err = errUpdateClient
		case !i.info.Has(message.ProtoPushUpdate):
			err = errUpdateSupport
		default:
			send(i)
		}
	})
	return clients, err
}

// pushUpdate packs the options of an update, comma-separated, into messages. In front of an option may stand "-", which
// takes all its values back and has none itself, and "?" for what a client may ignore; both in this order.
func pushUpdate(options string) ([]string, error) {
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
		case !slices.Contains(updatable, name):
			return nil, fmt.Errorf("push-update: option '%s' cannot be updated", name)
		case remove && value != "":
			return nil, fmt.Errorf("push-update: '-%s' takes no value", name)
		}
		list = append(list, o)
	}
	if len(list) == 0 {
		return nil, errUpdateEmpty
	}
	return message.PackPush("PUSH_UPDATE", list)
}
