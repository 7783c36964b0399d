package server

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/material"
)

// prefix is how log lines name a client: address, and the common name in front once it is known.
func (i *instance) prefix() string {
	if i.phase == handshake || i.commonName == "" {
		return i.addressText()
	}
	return i.commonName + "/" + i.addressText()
}

func (i *instance) addressText() string { return realAddress(i.peer.Load().Addr) }

// realAddress is a client's outer address in logs and reports: IPv6 without port, as 2.6 prints it.
func realAddress(a netip.AddrPort) string {
	if a.Addr().Is6() && !a.Addr().Is4In6() {
		return a.Addr().String()
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}

// certificateVars are the script variables of a chain.
func (h *hub) certificateVars(chain []*x509.Certificate) []string {
	var vars []string
	for depth := len(chain) - 1; depth >= 0; depth-- {
		vars = append(vars, material.CertVars(h.set.Options, depth, chain[depth])...)
	}
	return vars
}

// env is the environment of scripts and notifications about a client. It is made when it is needed: kept for every
// client it would be most of what a client costs.
func (h *hub) env(i *instance) *hooks.Env {
	e := h.baseEnv().Clone()
	set := func(name, format string, args ...any) { e.Set(name, fmt.Sprintf(format, args...)) }
	for _, v := range i.certVars {
		name, value, _ := strings.Cut(v, "=")
		e.Set(name, value)
	}
	for _, line := range i.info.Lines {
		name, value, _ := strings.Cut(line, "=")
		e.Set(name, value)
	}
	if i.commonName != "" {
		e.Set("common_name", i.commonName)
	}
	if i.username != "" || h.set.needsCredentials() && i.lastKID > 0 {
		e.Set("username", i.username)
	}
	if h.set.AuthGenToken && i.sessionState != "" {
		e.Set("session_id", h.tokenNameText(i))
		e.Set("session_state", i.sessionState)
	}
	at := i.peer.Load().Addr
	suffix := "ip"
	if at.Addr().Is6() {
		suffix = "ip6"
	}
	e.Set("untrusted_"+suffix, at.Addr().String())
	set("untrusted_port", "%d", at.Port())
	if i.phase != handshake {
		e.Set("trusted_"+suffix, at.Addr().String())
		set("trusted_port", "%d", at.Port())
		e.Set("time_ascii", i.since.Format(statusTime))
		set("time_unix", "%d", i.since.Unix())
	}
	h.set.exportAddresses(e, i.virtual4, i.local4, i.virtual6)
	return e
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

// inOrder sorts instances by age.
func inOrder(list []*instance) []*instance {
	slices.SortFunc(list, func(a, b *instance) int {
		if a.cid < b.cid {
			return -1
		}
		return 1
	})
	return list
}
