package server

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/session"
	"github.com/moongate-vpn/moongate/mgmt"
)

// prefix is how log lines name a client: address, and the common name in front once it is known.
func (i *instance) prefix() string {
	if i.stage == session.Handshake || i.commonName == "" {
		return i.addressText()
	}
	return i.commonName + "/" + i.addressText()
}

// certificateVars are the script variables of a chain.
func (s *setup) certificateVars(chain []*x509.Certificate) []string {
	var vars []string
	for depth := len(chain) - 1; depth >= 0; depth-- {
		vars = append(vars, material.CertVars(s.Options, depth, chain[depth])...)
	}
	return vars
}

// env is the environment of scripts and notifications about a client. It is made when it is needed: kept for every
// client it would be most of what a client costs.
//
// Its order is the one in which stock sets the variables. Those of a login are set again, and are the newer ones then, by
// every renegotiation.
func (h *hub) env(i *instance) *hooks.Env { return h.clientEnv(h.set, i) }

func (c *clientLog) clientEnv(set *setup, i *instance) *hooks.Env {
	e := c.baseEnv().Reversed()
	if !i.session.Renewed() {
		set.loginVars(e, i)
	}
	set.tunnelVars(e, i)
	if i.session.Renewed() {
		set.loginVars(e, i)
	}
	return e
}

// subject is a client as scripts and plugins beside the hub are asked about it.
type subject struct {
	set    *setup
	client uint64 // to plugins
	prefix string // of log lines
	cn     string
	env    *hooks.Env
}

func (c *clientLog) subject(set *setup, i *instance) subject {
	return subject{set: set, client: i.context(), prefix: i.prefix(), cn: undef(i.commonName), env: c.clientEnv(set, i)}
}

// loginVars sets what a login tells. While it is undecided the common name is that of the certificate, whatever
// username-as-common-name will make of it.
func (s *setup) loginVars(e *hooks.Env, i *instance) {
	for _, v := range i.variables(s) {
		name, value, _ := strings.Cut(v, "=")
		e.Set(name, value)
	}
	for _, line := range i.info.Lines {
		name, value, _ := strings.Cut(line, "=")
		e.Set(name, value)
	}
	if i.username != "" || s.needsCredentials() && i.session.Login() > 0 {
		e.Set("username", i.username)
	}
	if i.certName != "" {
		e.Set("common_name", i.certName)
	}
	addressVars(e, "untrusted", i.peer.Load().Addr)
	if s.AuthGenToken && i.token.state != "" {
		e.Set("session_state", i.token.state)
		e.Set("session_id", i.token.SessionName())
	}
	switch {
	case i.session.Undecided():
	case i.commonName != "":
		e.Set("common_name", i.commonName)
	default:
		e.Unset("common_name") // a login without a name takes the certificate's away
	}
}

// tunnelVars sets what is known of a client that was let in.
func (s *setup) tunnelVars(e *hooks.Env, i *instance) {
	if i.stage != session.Handshake {
		addressVars(e, "trusted", i.peer.Load().Addr)
		e.Set("time_ascii", i.since.Format(mgmt.StatusTime))
		e.Set("time_unix", fmt.Sprint(i.since.Unix()))
	}
	s.exportAddresses(e, i.virtual.v4, i.virtual.local4, i.virtual.v6)
}

// exportAddresses sets the variables of a client's tunnel addresses: local4 is our side of v4, or the netmask.
func (s *setup) exportAddresses(e *hooks.Env, v4, local4 netip.Addr, v6 netip.Prefix) {
	if v4.IsValid() {
		e.Set("ifconfig_pool_remote_ip", v4.String())
		if local4.IsValid() {
			name := "ifconfig_pool_local_ip"
			if s.tap() || s.Topology == config.TopologySubnet {
				name = "ifconfig_pool_netmask"
			}
			e.Set(name, local4.String())
		}
	}
	if v6.IsValid() {
		e.Set("ifconfig_pool_remote_ip6", v6.Addr().String())
		e.Set("ifconfig_pool_local_ip6", s.IfconfigIPv6.Local.Addr().String())
		e.Set("ifconfig_pool_ip6_netbits", strconv.Itoa(v6.Bits()))
	}
}

// addressVars sets the two variables of an outer address.
func addressVars(e *hooks.Env, prefix string, at netip.AddrPort) {
	suffix := "_ip"
	if at.Addr().Is6() {
		suffix = "_ip6"
	}
	e.Set(prefix+suffix, at.Addr().String())
	e.Set(prefix+"_port", fmt.Sprint(at.Port()))
}
