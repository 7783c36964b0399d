package config

import "github.com/moongate-vpn/moongate/daemon/logging"

// checkMode holds the rules of server mode, and of everything else.
func (p *parser) checkMode() error {
	if p.o.ModeServer {
		return p.checkServer()
	}
	return p.checkNoServer()
}

func (p *parser) checkServer() error {
	o, s := p.o, &p.o.state
	c := &o.Connections[0]
	if o.DevType != DevTun && o.DevType != DevTap && (o.DevType != DevNull || !o.Compat.ServesWithoutDevice()) {
		return errorf("--mode server only works with --dev tun or --dev tap")
	}
	if len(o.PullFilters) > 0 {
		p.warn("--pull-filter ignored for --mode server")
	}
	notWithServer := func(name string) error { return errorf("%s cannot be used with --mode server", name) }
	switch {
	case o.Pull:
		return errorf("--pull cannot be used with --mode server")
	case !c.Proto.IsUDP() && !c.Proto.IsTCPServer():
		return errorf("--mode server currently only supports --proto values of udp, tcp-server, tcp4-server, or tcp6-server")
	case o.PortShare.Host != "" && !c.ServesTCP():
		return errorf("--port-share only works in TCP server mode (--proto values of tcp-server, tcp4-server, or tcp6-server)")
	case !o.TLSServer:
		return errorf("--mode server requires --tls-server")
	case c.Remote != "":
		return notWithServer("--remote")
	case c.set.nobind:
		return notWithServer("--nobind")
	case c.HTTPProxy != nil:
		return notWithServer("--http-proxy")
	case c.SOCKSProxy != nil:
		return notWithServer("--socks-proxy")
	case len(s.blocks) > 0:
		return notWithServer("<connection>")
	case o.Shaper > 0:
		return notWithServer("--shaper")
	case o.IPChange != "":
		return errorf("--ipchange cannot be used with --mode server (use --client-connect instead)")
	case o.ConnectFreq != Rate{} && !c.ServesUDP():
		return errorf("--connect-freq only works with --mode server --proto udp.  Try --max-clients instead.")
	case o.IfconfigPool.Netmask.IsValid() && o.DevType != DevTap && o.Topology != TopologySubnet:
		return errorf("The third parameter to --ifconfig-pool (netmask) is only valid in --dev tap mode")
	case o.Redirect.Enabled:
		return errorf("--redirect-gateway cannot be used with --mode server (however --push \"redirect-gateway\" is fine)")
	case o.RouteDelayDefined:
		return notWithServer("--route-delay")
	case o.UpDelay:
		return notWithServer("--up-delay")
	case o.AllowRecursiveRouting:
		return notWithServer("--allow-recursive-routing")
	case o.PoolPersist != "" && !o.IfconfigPool.Set() && !o.IfconfigIPv6Pool.Set():
		return errorf("--ifconfig-pool-persist must be used with --ifconfig-pool or --ifconfig-ipv6-pool")
	case o.IfconfigIPv6Pool.Set() && !o.IfconfigIPv6.Set():
		return errorf("--ifconfig-ipv6-pool needs --ifconfig-ipv6")
	case o.AuthUserPass.Enabled:
		return errorf("--auth-user-pass cannot be used with --mode server (it should be used on the client side only)")
	case o.CCDExclusive && o.ClientConfigDir == "":
		return errorf("--ccd-exclusive must be used with --client-config-dir")
	case o.AuthGenToken && o.RenegSec == 0:
		return errorf("--auth-gen-token needs a non-infinite --renegotiate_seconds setting")
	case o.AuthGenToken && o.AuthTokenRenewal < 2*o.HandWindow:
		return errorf("--auth-gen-token renewal time needs to be at least  two times --hand-window (%s).", secs(o.HandWindow))
	}
	if err := p.checkServerAuth(); err != nil {
		return err
	}
	switch {
	case o.VLANTagging && o.DevType != DevTap:
		return errorf("--vlan-tagging must be used with --dev tap")
	case s.vlanAccept && !o.VLANTagging:
		return errorf("--vlan-accept requires --vlan-tagging")
	case s.vlanPVID && !o.VLANTagging:
		return errorf("--vlan-pvid requires --vlan-tagging")
	}
	return nil
}

func (p *parser) checkServerAuth() error {
	o := p.o
	if o.AuthUserPassVerify != "" || o.ManagementClientAuth || len(o.Plugins) > 0 {
		return nil
	}
	const tail = " must be used with --management-client-auth, an --auth-user-pass-verify script, or plugin"
	switch {
	case o.VerifyClientCert != "require":
		return errorf("--verify-client-cert none|optional" + tail)
	case o.UsernameAsCommonName:
		return errorf("--username-as-common-name" + tail)
	case o.AuthUserPassOptional:
		return errorf("--auth-user-pass-optional" + tail)
	}
	return nil
}

// modeOnly are the options that need server mode in the order they are complained about.
func (p *parser) checkNoServer() error {
	o, s := p.o, &p.o.state
	has := func(shown string) bool {
		for _, x := range s.onlyServer {
			if x == shown {
				return true
			}
		}
		return false
	}
	for _, x := range []struct {
		given bool
		shown string
	}{
		{o.IfconfigPool.Set() || o.PoolPersist != "", "--ifconfig-pool/--ifconfig-pool-persist"},
		{o.IfconfigIPv6Pool.Set(), "--ifconfig-ipv6-pool"},
		{has("--hash-size"), "--hash-size"},
		{o.LearnAddress != "", "--learn-address"},
		{o.ClientConnect != "", "--client-connect"},
		{o.ClientCRResponse != "", "--client-crresponse"},
		{o.ClientDisconnect != "", "--client-disconnect"},
		{o.ClientConfigDir != "" || o.CCDExclusive, "--client-config-dir/--ccd-exclusive"},
		{o.ClientToClient, "--client-to-client"},
		{o.DuplicateCN, "--duplicate-cn"},
		{o.ConnectFreq != Rate{}, "--connect-freq"},
		{o.VerifyClientCert != "require", "--verify-client-cert"},
		{o.UsernameAsCommonName, "--username-as-common-name"},
		{o.AuthUserPassOptional, "--auth-user-pass-optional"},
		{o.OptVerify, "--opt-verify"},
		{o.AuthUserPassVerify != "", "--auth-user-pass-verify"},
		{o.AuthGenToken, "--auth-gen-token"},
		{o.StaleRoutesAge > 0, "--stale-routes-check"},
		{o.VLANTagging, "--vlan-tagging"},
		{o.ForceTLSKeyMaterialExport, "--force-tls-key-material-export"},
	} {
		if x.given {
			return errorf("%s requires --mode server", x.shown)
		}
	}
	if o.PortShare.Host != "" {
		return errorf("--port-share requires TCP server mode (--mode server --proto tcp-server)")
	}
	return nil
}

// warnings says what is allowed but doubtful, in stock's order.
func (p *parser) warnings() error {
	o := p.o
	for _, m := range o.ManagementListen {
		if m.Unix == "" && m.open() {
			p.note(logging.Alert, "WARNING: Using --management on a TCP port WITHOUT passwords is STRONGLY discouraged and considered insecure")
			break
		}
	}
	if o.ModeServer && o.VerifyClientCert != "require" {
		p.note(logging.Alert, "WARNING: POTENTIALLY DANGEROUS OPTION --verify-client-cert none|optional may accept clients which do not present a certificate")
	}
	if o.state.tcpNodelay && !o.ModeServer {
		p.note(logging.Alert, "WARNING: setting tcp-nodelay on the client side will not affect the server. To have TCP_NODELAY in both direction use "+
			"tcp-nodelay in the server configuration instead.")
	}

	if o.Ping > 0 && o.PingRestart == 0 && o.PingExit == 0 {
		p.doubt("WARNING: --ping should normally be used with --ping-restart or --ping-exit")
	}
	if o.User != "" || o.Group != "" || o.Chroot != "" {
		if !o.PersistTun {
			p.doubt("WARNING: you are using user/group/chroot/setcon without persist-tun -- this may cause restarts to fail")
		}
		if !o.PersistKey {
			p.doubt("WARNING: you are using user/group/chroot/setcon without persist-key -- this may cause restarts to fail")
		}
	}
	if o.Pull && o.Ifconfig.Set() {
		p.doubt("WARNING: using --pull/--client and --ifconfig together is probably not what you want")
	}
	if o.ModeServer {
		if o.DuplicateCN && o.ClientConfigDir != "" {
			p.doubt("WARNING: using --duplicate-cn and --client-config-dir together is probably not what you want")
		}
		if o.DuplicateCN && o.PoolPersist != "" {
			p.doubt("WARNING: --ifconfig-pool-persist will not work with --duplicate-cn")
		}
		if k := o.state.keepalive; k == nil || *k == (keepalive{}) {
			p.doubt("WARNING: --keepalive option is missing from server config")
		}
	}
	if o.TLSClient && o.RemoteCertTLS == "" && o.RemoteCertEKU == "" && o.VerifyX509Name == "" && o.TLSVerify == "" && o.NSCertType == "" &&
		len(o.VerifyHash) == 0 && len(o.PeerFingerprint) == 0 {
		p.doubt("WARNING: No server certificate verification method has been enabled.  See http://openvpn.net/howto.html#mitm for more info.")
	}
	if o.NSCertType != "" {
		p.doubt("WARNING: --ns-cert-type is DEPRECATED.  Use --remote-cert-tls instead.")
	}
	if script := o.Up + o.Down + o.RouteUp + o.RoutePreDown + o.IPChange + o.TLSVerify + o.ClientConnect + o.ClientDisconnect +
		o.LearnAddress + o.AuthUserPassVerify + o.TLSCryptV2Verify + o.ClientCRResponse + o.dnsScript(); script != "" {
		if o.ScriptSecurity >= 2 {
			p.doubt("NOTE: the current --script-security setting may allow this configuration to call user-defined scripts")
		} else {
			p.doubt("NOTE: starting with OpenVPN 2.1, '--script-security 2' or higher is required to call user-defined scripts or executables")
		}
	}
	if o.state.configStdin && o.RemapUSR1 == "SIGHUP" {
		return errorf("Options 'config stdin' and 'remap-usr1 SIGHUP' are incompatible with each other.")
	}
	return nil
}
