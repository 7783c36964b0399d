package client

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/material"
)

// certVars are the script variables of a certificate, "name=value". With x509-track only the attributes it names are among
// them: of the peer's own certificate, or with a plus sign of every one in the chain.
func certVars(o *config.Options, depth int, cert *x509.Certificate) []string {
	all := material.Vars(depth, cert)
	if len(o.X509Track) == 0 {
		return all
	}
	var vars []string
	prefix := fmt.Sprintf("X509_%d_", depth)
	for _, attr := range o.X509Track {
		attr, chain := strings.CutPrefix(attr, "+")
		if depth > 0 && !chain {
			continue
		}
		if attr == "subjectAltName" {
			if names := altNames(cert); names != "" {
				vars = append(vars, prefix+attr+"="+names)
			}
		}
		for _, v := range all {
			if strings.HasPrefix(v, prefix+attr+"=") {
				vars = append(vars, v)
			}
		}
	}
	for _, v := range all {
		if !strings.HasPrefix(v, prefix) {
			vars = append(vars, v)
		}
	}
	return vars
}

// altNames prints the alternative names as OpenSSL does.
func altNames(cert *x509.Certificate) string {
	var names []string
	for _, n := range cert.EmailAddresses {
		names = append(names, "email:"+n)
	}
	for _, n := range cert.DNSNames {
		names = append(names, "DNS:"+n)
	}
	for _, n := range cert.IPAddresses {
		names = append(names, "IP Address:"+n.String())
	}
	for _, n := range cert.URIs {
		names = append(names, "URI:"+n.String())
	}
	return strings.Join(names, ", ")
}

// exportFile writes the certificate a tls-verify script looks at into the folder of tls-export-cert and returns how to
// remove it. Without the option it does nothing.
func (a *attempt) exportFile(cert *x509.Certificate) (remove func(), err error) {
	if a.opts.TLSExportCert == "" {
		return func() {}, nil
	}
	f, err := os.CreateTemp(a.opts.TLSExportCert, "openvpn_pcf_*.tmp")
	if err != nil {
		return nil, fmt.Errorf("export certificate: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return nil, fmt.Errorf("export certificate: %w", err)
	}
	a.c.env.Set("peer_cert", f.Name())
	return func() {
		_ = os.Remove(f.Name())
		a.c.env.Unset("peer_cert")
	}, nil
}

// exportKeyingMaterial sets the variable of keying-material-exporter for the session's first key.
func (a *attempt) exportKeyingMaterial(e control.TLSUp) {
	if a.opts.ExporterLabel == "" {
		return
	}
	b, err := e.State.ExportKeyingMaterial(a.opts.ExporterLabel, nil, a.opts.ExporterLength)
	if err != nil {
		a.c.log(1, "W", "WARNING: Export of keying material failed: %v", err)
		return
	}
	a.c.env.Set("exported_keying_material", hex.EncodeToString(b))
}
