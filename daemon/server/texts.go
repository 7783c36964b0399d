package server

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/data"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"

	"github.com/moongate-vpn/moongate/daemon/message"
)

// textFrom handles a text message of a client.
func (h *hub) textFrom(i *instance, msg string, now time.Time) {
	kind, arg := message.ParseText(msg)
	switch kind {
	case message.TextPushRequest:
		h.logNoise(i, now, logging.Steps, "PUSH: Received control message: 'PUSH_REQUEST'")
		if i.push.Request(i.stage, now) {
			h.push(i, now)
		}
	case message.TextExit:
		h.logNoise(i, now, logging.Info, "CC-EEN exit message received by peer")
		h.exited(i, now)
	case message.TextCRResponse:
		h.response(i, arg, now)
	default:
		h.logNoise(i, now, logging.Warn, "WARNING: Received unknown control message: %s", msg)
	}
}

// exited handles a client's exit notification. The instance stays for closeGrace, so that late packets do not open a new one.
func (h *hub) exited(i *instance, now time.Time) {
	if i.session.Leaving() != session.Stays {
		return
	}
	h.port.Notify(mgmt.NotifyRemoteExit, "EXIT")
	h.closeLater(i, session.SaidGoodbye, now)
}

// push sends the options of a client, and describes the tunnel after the first time.
func (h *hub) push(i *instance, now time.Time) {
	if h.sendPush(i, now) {
		h.describe(h.set, i)
	}
}

// sendPush sends the options of a client, and reports whether it was the first time.
func (h *hub) sendPush(i *instance, now time.Time) (first bool) {
	messages, err := message.PackPush("PUSH_REPLY", h.pushList(h.set, i, now))
	if err != nil {
		h.log(i, logging.Error, "%v", err)
		return false
	}
	for _, m := range messages {
		h.text(i, m, now)
	}
	return i.push.Sent(now)
}

// describe logs what was negotiated with a client.
func (c *clientLog) describe(set *setup, i *instance) {
	if i.tunnel.Load() == nil && i.offloaded == nil {
		return
	}
	terms := i.session.Terms()
	line := "Data Channel: " + engine.CipherInLog(terms.Cipher, set.Auth)
	if terms.V2 {
		line += fmt.Sprintf(", peer-id: %d", i.slot)
	}
	c.log(i, logging.Summary, "%s", line)
	engine.WarnWeak(func(lv logging.Level, format string, args ...any) { c.log(i, lv, format, args...) }, terms.Cipher, set.Auth, set.RenegBytes)
	limits := set.limits(i)
	if timers := engine.TimerNames(&limits); len(timers) > 0 {
		c.log(i, logging.Summary, "Timers: %s", strings.Join(timers, ", "))
	}
	var protocol []string
	if n := set.Connections[0].ExplicitExitNotify; n > 0 && set.Compat.LogsExitNotify() {
		protocol = append(protocol, fmt.Sprintf("explicit-exit-notify %d", n))
	}
	if flags := terms.Flags(); len(flags) > 0 {
		protocol = append(protocol, "protocol-flags "+strings.Join(flags, " "))
	}
	if len(protocol) > 0 {
		c.log(i, logging.Summary, "Protocol options: %s", strings.Join(protocol, ", "))
	}
}

// pushList lists the options to push to a client: those that it inherits and that its configuration adds, then those that
// follow from its addresses and abilities.
//
// Rule: docs/protocol.md#81-what-a-server-sends.
func (c *clientLog) pushList(set *setup, i *instance, now time.Time) []string {
	cc := i.config
	list := slices.DeleteFunc(slices.Clone(cc.Push), func(o string) bool { return c.ownRoute(set, i, o) })
	if i.virtual.v6.IsValid() && !cc.NoPushIfconfigIPv6 {
		gw := set.IfconfigIPv6.Local.Addr()
		if cc.IfconfigIPv6.Remote.IsValid() {
			gw = cc.IfconfigIPv6.Remote
		}
		list = append(list, fmt.Sprintf("ifconfig-ipv6 %s %s", i.virtual.v6, gw))
	}
	if i.virtual.v4.IsValid() && i.virtual.local4.IsValid() && !cc.NoPushIfconfig {
		local := i.virtual.v4
		if alias := cc.Ifconfig.Alias; alias.IsValid() {
			local = alias // a translator sits between the client and us
		}
		list = append(list, fmt.Sprintf("ifconfig %s %s", local, i.virtual.local4))
	}
	terms := i.session.Terms()
	if terms.V2 {
		list = append(list, fmt.Sprintf("peer-id %d", i.slot))
	}
	if token := i.token.next(set.tokens(), i.username, now); token != "" {
		list = append(list, "auth-token "+token)
		if i.config.OverrideUsername != "" {
			list = append(list, "auth-token-user "+base64.StdEncoding.EncodeToString([]byte(i.username)))
		}
	}
	if i.info.Negotiates() {
		list = append(list, "cipher "+terms.Cipher)
	}
	switch {
	case terms.CCExit:
		list = append(list, "protocol-flags "+strings.Join(terms.Flags(), " "))
	case terms.EKM:
		list = append(list, "key-derivation tls-ekm")
	}
	if most, err := strconv.Atoi(i.info.Get("IV_MTU")); err == nil {
		if set.prof.TunMTU > most {
			c.log(i, logging.Summary, "Warning: reported maximum MTU from client (%d) is lower than MTU used on the server (%d). Add %s %d to client configuration.",
				most, set.prof.TunMTU, set.Compat.TunMTUMaxInLog(), set.prof.TunMTU)
		}
		list = append(list, fmt.Sprintf("tun-mtu %d", set.prof.TunMTU))
	}
	if i.config.Framing == config.FramingMigrate {
		switch set.framing(i) {
		case data.FramingStubV2:
			list = append(list, "compress stub-v2")
		case data.FramingLZO:
			list = append(list, "comp-lzo no")
		}
	}
	return list
}

// ownRoute reports whether a pushed option is a route to a subnet behind the client itself.
func (c *clientLog) ownRoute(set *setup, i *instance, option string) bool {
	rest, ok := strings.CutPrefix(option, "route ")
	if !ok {
		return false
	}
	f := strings.Fields(rest)
	for _, p := range i.config.Iroutes {
		if len(f) > 0 && f[0] == p.Addr().String() && (len(f) == 1 && p.Bits() == 32 || len(f) > 1 && f[1] == maskText(p.Bits())) {
			c.log(i, logging.Steps, "REMOVE PUSH ROUTE: '%s'", option)
			return true
		}
	}
	return false
}

func maskText(bits int) string {
	m := ^uint32(0) << (32 - bits)
	if bits == 0 {
		m = 0
	}
	return fmt.Sprintf("%d.%d.%d.%d", m>>24, m>>16&255, m>>8&255, m&255)
}

// framing is the compression framing of a client's packets.
func (s *setup) framing(i *instance) data.Framing {
	switch {
	case i.config.Framing != config.FramingMigrate:
		return material.Framing(i.config.Framing)
	case !strings.Contains(i.occ, "comp-lzo"):
		return data.FramingNone
	case i.info.Get("IV_COMP_STUBv2") == "1":
		return data.FramingStubV2
	default:
		return data.FramingLZO
	}
}
