package client

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/hooks"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/material"
	"github.com/moongate-vpn/moongate/daemon/plugin"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/transport"
)

// scripts runs the configuration's scripts and plugins, and sets the variables that they see. Options that a server pushes
// name no scripts, so that those of the configuration count for every connection.
type scripts struct {
	*report
	opts  *config.Options
	hooks *hooks.Runner
	env   *hooks.Env
}

// forgetPeer drops the variables of the connection before.
func (s *scripts) forgetPeer() {
	for _, name := range []string{"tls_", "X509_"} {
		s.env.UnsetPrefix(name)
	}
	for _, name := range []string{"common_name", "trusted_ip", "trusted_ip6", "trusted_port", "untrusted_ip", "untrusted_ip6", "untrusted_port"} {
		s.env.Unset(name)
	}
}

// exportAddress sets the variables of the peer's address: untrusted from the start, trusted after authentication.
func (s *scripts) exportAddress(prefix string, at netip.AddrPort) {
	name := prefix + "_ip"
	if at.Addr().Is6() {
		name += "6"
	}
	s.env.Set(name, at.Addr().String())
	s.env.Set(prefix+"_port", fmt.Sprint(at.Port()))
}

// addressChanged runs ipchange for the peer's address, which is authentic, as a helper of the attempt.
func (s *scripts) addressChanged(t *tasks, at netip.AddrPort) {
	if !s.hooks.Wanted(s.opts.IPChange, plugin.IPChange) {
		return
	}
	port := fmt.Sprint(at.Port())
	call := hooks.Call{
		Event: plugin.IPChange, Log: s.log,
		Tag: "--ipchange", Type: "ipchange", Command: strings.ReplaceAll(s.opts.IPChange, ",", " "),
		Args: []string{strings.Replace(transport.AddrText(at), ":"+port, " "+port, 1)},
		Env:  s.env.Clone(),
	}
	t.help(func(ctx context.Context) func() {
		err := s.hooks.TellPlugins(ctx, call)
		if err == nil && call.Command != "" {
			err = s.hooks.Run(ctx, call)
		}
		if err != nil {
			s.log(logging.Warn, "%v", err)
		}
		return nil
	})
}

// exportKeyingMaterial sets the variable of keying-material-exporter.
func (s *scripts) exportKeyingMaterial(e control.TLSUp) {
	if s.opts.ExporterLabel == "" {
		return
	}
	b, err := e.State.ExportKeyingMaterial(s.opts.ExporterLabel, nil, s.opts.ExporterLength)
	if err != nil {
		s.log(logging.Warn, "WARNING: Export of keying material failed: %v", err)
		return
	}
	s.env.Set("exported_keying_material", hex.EncodeToString(b))
}

// certChecked logs one check of the peer's certificates and exports the certificate it was about.
func (s *scripts) certChecked(step tlsconf.Step) {
	if step.Cert != nil {
		s.exportCert(step.Depth, step.Cert)
	}
	if step.Line != "" {
		s.log(step.Level, "%s", step.Line)
	}
}

// exportCert sets the script variables of a certificate.
func (s *scripts) exportCert(depth int, cert *x509.Certificate) {
	if depth == 0 {
		s.env.Set("common_name", s.peerName(cert))
	}
	for _, v := range material.CertVars(s.opts, depth, cert) {
		name, value, _ := strings.Cut(v, "=")
		s.env.Set(name, value)
	}
}

// peerName is the name of a certificate by x509-username-field, the common name by default.
func (s *scripts) peerName(cert *x509.Certificate) string {
	name, err := tlsconf.Username(cert, s.opts.X509UsernameFields)
	if err != nil {
		return ""
	}
	return name
}

// verifyCert asks plugins and tls-verify about one certificate, if there are some. It runs in the goroutine of a handshake.
func (s *scripts) verifyCert(ctx context.Context, depth int, cert *x509.Certificate, subject string) error {
	o := s.opts
	if !s.hooks.Wanted(o.TLSVerify, plugin.TLSVerify) {
		return nil
	}
	s.exportCert(depth, cert)
	path, err := material.ExportCert(o, cert)
	if err != nil {
		s.log(logging.Error, "%v", err)
		return err
	}
	if path != "" {
		s.env.Set("peer_cert", path)
		defer func() {
			_ = os.Remove(path)
			s.env.Unset("peer_cert")
		}()
	}
	call := hooks.Call{
		Event: plugin.TLSVerify, Depth: depth, Log: s.log,
		Tag: "--tls-verify script", Type: "tls-verify", Command: strings.ReplaceAll(o.TLSVerify, ",", " "),
		Args: []string{fmt.Sprint(depth), subject}, Env: s.env,
	}
	if s.hooks.Plugins.Wants(plugin.TLSVerify) {
		if err := s.hooks.TellPlugins(ctx, call); err != nil {
			s.log(logging.Summary, "VERIFY PLUGIN ERROR: depth=%d, %s", depth, subject)
			return err
		}
		s.log(logging.Summary, "VERIFY PLUGIN OK: depth=%d, %s", depth, subject)
	}
	if o.TLSVerify == "" {
		return nil
	}
	if err := s.hooks.Run(ctx, call); err != nil {
		s.log(logging.Alert, "%v", err)
		s.log(logging.Summary, "VERIFY SCRIPT ERROR: depth=%d, %s", depth, subject)
		return err
	}
	s.log(logging.Summary, "VERIFY SCRIPT OK: depth=%d, %s", depth, subject)
	return nil
}
