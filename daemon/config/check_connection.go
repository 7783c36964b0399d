package config

import (
	"fmt"
	"time"

	"github.com/moongate-vpn/moongate/daemon/logging"
)

// certificates applies the rules about dh and CA.
func (p *parser) certificates() error {
	o := p.o
	if o.TLSClient && !o.TLSServer && o.DH.Set() {
		p.warn("WARNING: Ignoring option 'dh' in tls-client mode, please only include this in your server configuration")
		o.DH = Source{}
	}
	if o.TLSServer && !o.DH.Set() {
		// Finite fields are used with no cipher suite of ours: a file would change nothing either.
		p.note(logging.Info, "Note: --dh is not set: --dh none is assumed, keys are exchanged over elliptic curves")
		o.DH = Source{Path: "none"}
	}
	if (o.TLSClient || o.TLSServer) && !o.CA.Set() && o.CAPath == "" && !o.PKCS12.Set() && len(o.PeerFingerprint) > 0 {
		p.note(logging.Info, "Using certificate fingerprint to verify peer (no CA option set). ")
	}
	return nil
}

// checkConnections holds the rules for each profile.
func (p *parser) checkConnections() error {
	if p.o.Dev == "" {
		return errorf("You must define TUN/TAP device (--dev)")
	}
	for i := range p.o.Connections {
		if c := &p.o.Connections[i]; p.o.Compat.RefusesSecondLocal() && !p.o.ModeServer && len(c.set.locals) > 1 {
			return errorf("multiple --local statements only allowed in --server mode")
		} else if p.o.Compat.RefusesSecondLocal() && p.o.ModeServer && len(c.set.locals) > len(c.Listeners) {
			return errorf("two --local lines name the same address, port and protocol")
		}
		if err := p.checkConnection(&p.o.Connections[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) checkConnection(c *Connection) error {
	o := p.o
	tcpClient := c.Proto.IsTCPClient()
	port := &o.Management
	switch {
	case o.LLAddr != "" && o.DevType != DevTap:
		return errorf("--lladdr can only be used in --dev tap mode")
	case c.TunMTUDefined && c.LinkMTU > 0:
		return errorf("only one of --tun-mtu or --link-mtu may be defined")
	case o.MTUTest && !c.Proto.IsUDP():
		return errorf("--mtu-test only makes sense with --proto udp")
	case c.Local != "" && c.Remote == c.Local && c.RemotePort == c.LocalPort:
		return errorf("--remote and --local addresses are the same")
	}
	if i := o.Ifconfig; i.Set() && i.Local.IsValid() {
		local, remote := i.Local.String(), i.Remote.String()
		switch {
		case c.Remote != "" && (c.Remote == local || c.Remote == remote):
			return errorf("--local and --remote addresses must be distinct from --ifconfig addresses")
		case c.Local != "" && (c.Local == local || c.Local == remote):
			return errorf("--local addresses must be distinct from --ifconfig addresses")
		case local == remote:
			return errorf("local and remote/netmask --ifconfig addresses must be different")
		}
	}
	if err := checkBind(c); err != nil {
		return err
	}
	if len(port.ManagementListen) == 0 && len(port.LuaScripts) == 0 && (port.ManagementClient || port.ManagementQueryPasswords || port.ManagementQueryRemote ||
		port.ManagementQueryProxy || port.ManagementHold || port.ManagementSignal || port.ManagementForgetDisconnect ||
		port.ManagementClientAuth || port.ManagementExternalKey || port.ManagementExternalCert != "" ||
		port.ManagementClientUser != "" || port.ManagementClientGroup != "") {
		return errorf("--management is not specified, however one or more options which modify the behavior of --management were specified")
	}
	if port.ManagementClientUser != "" || port.ManagementClientGroup != "" {
		for _, l := range port.ManagementListen {
			if l.Unix == "" {
				return errorf("--management-client-(user|group) can only be used on unix domain sockets")
			}
		}
	}
	switch {
	case c.Fragment > 0 && !c.Proto.IsUDP():
		return errorf("--fragment can only be used with --proto udp")
	case tcpClient && c.Remote == "":
		return errorf("--remote MUST be used in TCP Client mode")
	case c.HTTPProxy != nil && c.HTTPProxy.Host == "":
		return errorf("--http-proxy not specified but other http proxy options present")
	case c.HTTPProxy != nil && !tcpClient:
		return errorf("--http-proxy MUST be used in TCP Client mode (i.e. --proto tcp-client)")
	case c.HTTPProxy != nil && c.SOCKSProxy != nil:
		return errorf("--http-proxy can not be used together with --socks-proxy")
	case c.SOCKSProxy != nil && c.Proto.IsTCPServer():
		return errorf("--socks-proxy can not be used in TCP Server mode")
	case c.Proto.IsTCPServer() && len(o.state.remotes) > 1:
		return errorf("TCP server mode allows at most one --remote address")
	case o.NoReplay && (o.ReplayWindow != 64 || o.ReplayTime != 15*time.Second):
		return errorf("--replay-window doesn't make sense when replay protection is disabled with --no-replay")
	case count(o.TLSServer, o.TLSClient, o.Secret.Set()) > 1:
		return errorf("specify only one of --tls-server, --tls-client, or --secret")
	case c.TLSAuth.Set() && c.TLSCrypt.Set():
		return errorf("--tls-auth and --tls-crypt are mutually exclusive")
	case o.TLSClient && c.TLSCryptV2.Set() && (c.TLSAuth.Set() || c.TLSCrypt.Set()):
		return errorf("--tls-crypt-v2, --tls-auth and --tls-crypt are mutually exclusive in client mode")
	case o.AuthUserPass.Enabled && !o.Pull && !o.ModeServer:
		return errorf("--auth-user-pass requires --pull")
	}
	return nil
}

func count(conditions ...bool) int {
	n := 0
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

// checkDevice refuses devices whose kind is not known.
func (p *parser) checkDevice() error {
	switch p.o.DevType {
	case DevTun, DevTap, DevNull:
		return nil
	default:
		if p.o.Dev == "" {
			return nil // told before
		}
		return fatalf("I don't recognize device %s as a tun or tap device", p.o.Dev)
	}
}

// checkCredentials holds the rules about keys and certificates.
func (p *parser) checkCredentials() error {
	o := p.o
	if !o.TLSClient && !o.TLSServer {
		return nil
	}
	if len(o.PKCS11.Providers) > 0 || o.PKCS11.Set() {
		return p.checkPKCS11()
	}
	if o.PKCS12.Set() {
		for _, x := range []struct {
			set  bool
			name string
		}{
			{o.CAPath != "", "capath"}, {o.Cert.Set(), "cert"}, {o.Key.Set(), "key"},
			{o.ManagementExternalKey, "management-external-key"}, {o.ManagementExternalCert != "", "management-external-cert"},
		} {
			if x.set {
				return errorf("Parameter --%s cannot be used when --pkcs12 is also specified.", x.name)
			}
		}
		return nil
	}
	switch {
	case o.Key.Set() && o.ManagementExternalKey:
		return errorf("--key and --management-external-key are mutually exclusive")
	case o.Cert.Set() && o.ManagementExternalCert != "":
		return errorf("--cert and --management-external-cert are mutually exclusive")
	case o.ManagementExternalCert != "" && !o.ManagementExternalKey:
		return errorf("--management-external-cert must be used with --management-external-key")
	case !o.CA.Set() && o.CAPath == "" && len(o.PeerFingerprint) == 0:
		return errorf("You must define CA file (--ca) or CA path (--capath) and/or peer fingerprint verification (--peer-fingerprint)")
	}
	cert := o.Cert.Set() || o.ManagementExternalCert != ""
	key := o.Key.Set() || o.ManagementExternalKey
	if o.Pull && !o.ModeServer {
		switch {
		case cert != key:
			return errorf("If you use one of --cert or --key, you must use them both")
		case !cert && !o.AuthUserPass.Enabled:
			return errorf("No client-side authentication method is specified.  You must use either --cert/--key, --pkcs12, or --auth-user-pass")
		}
		return nil
	}
	switch {
	case !cert:
		return errorf("You must define certificate file (--cert) or PKCS#12 file (--pkcs12)")
	case !key:
		return errorf("You must define private key file (--key) or PKCS#12 file (--pkcs12)")
	}
	return nil
}

// checkTLSOnly refuses options of TLS where there is none.
func (p *parser) checkTLSOnly() error {
	o := p.o
	if o.TLSClient || o.TLSServer {
		return nil
	}
	d := defaults(p.env.Getenv)
	c := o.Connections[0]
	for _, x := range []struct {
		given bool
		name  string
	}{
		{o.CA.Set(), "ca_file"}, {o.CAPath != "", "ca_path"}, {o.DH.Set(), "dh_file"}, {o.Cert.Set(), "cert_file"},
		{o.Key.Set(), "priv_key_file"}, {o.PKCS12.Set(), "pkcs12_file"}, {o.TLSCipher != "", "cipher_list"},
		{o.TLSCiphersuites != "", "cipher_list_tls13"}, {o.TLSCertProfile != d.TLSCertProfile, "tls_cert_profile"},
		{o.TLSVerify != "", "tls_verify"}, {o.TLSExportCert != "", "tls_export_cert"}, {o.VerifyX509Name != "", "verify_x509_name"},
		{o.TLSTimeout != d.TLSTimeout, "tls_timeout"}, {o.RenegBytes != d.RenegBytes, "renegotiate_bytes"},
		{o.RenegPackets != d.RenegPackets, "renegotiate_packets"}, {o.RenegSec != d.RenegSec, "renegotiate_seconds"},
		{o.HandWindow != d.HandWindow, "handshake_window"}, {o.TranWindow != d.TranWindow, "transition_window"},
		{c.TLSAuth.Set(), "tls_auth_file"}, {c.TLSCrypt.Set(), "tls_crypt_file"}, {c.TLSCryptV2.Set(), "tls_crypt_v2_file"},
		{o.SingleSession, "single_session"}, {o.PushPeerInfo, "push_peer_info"}, {o.TLSExit, "tls_exit"}, {o.CRL.Set(), "crl_file"},
		{o.NSCertType != "", "ns_cert_type"}, {len(o.RemoteCertKU) > 0 || o.RemoteCertKURequired, "remote_cert_ku[0]"},
		{o.RemoteCertEKU != "", "remote_cert_eku"}, {o.Pull, "--pull"},
	} {
		if x.given {
			return errorf("Parameter %s can only be specified in TLS-mode, i.e. where --tls-server or --tls-client is also specified.", x.name)
		}
	}
	p.note(logging.Info, "%s", "DEPRECATION: No tls-client or tls-server option in configuration detected. OpenVPN 2.7 will remove the functionality to "+
		"run a VPN without TLS. See the examples section in the manual page for examples of a similar quick setup with peer-fingerprint.")
	return nil
}

func secs[T ~int64](d T) string { return fmt.Sprintf("%d", int64(d)/1e9) }
