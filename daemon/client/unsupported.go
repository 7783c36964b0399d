package client

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
)

// warnUnsupported says at start which options have no effect.
func (c *Client) warnUnsupported() {
	o := c.opts
	for _, w := range []struct {
		on        bool
		name, why string
	}{
		{o.MTUTest, "mtu-test", "the path is not measured; --mssfix and --fragment bound what is sent"},
		{o.DNSUpdown != "" && o.DNSUpdown != "disable", "dns-updown", "resolvers are set by --up, which gets dns_* and foreign_option_*"},
		{o.Connections[0].LinkMTU > 0, "link-mtu", "use --tun-mtu"},
	} {
		if w.on {
			c.log(1, "W", "WARNING: --%s is ignored: %s", w.name, w.why)
		}
	}
}

var errNSCertType = errors.New("certificate of the wrong Netscape type")

// nsCertType is the extension of ns-cert-type: a bit string, client first, server second.
var nsCertType = asn1.ObjectIdentifier{2, 16, 840, 1, 113730, 1, 1}

// checkNSCertType refuses a peer whose certificate is not meant for its role by the Netscape extension, nor by the extended
// key usage that took its place.
func (a *attempt) checkNSCertType(cert *x509.Certificate, subject string) error {
	want, bit, usage := a.opts.NSCertType, 1, x509.ExtKeyUsageServerAuth
	if want == "" {
		return nil
	}
	if want == "client" {
		bit, usage = 0, x509.ExtKeyUsageClientAuth
	}
	ok := slices.Contains(cert.ExtKeyUsage, usage)
	for _, e := range cert.Extensions {
		var bits asn1.BitString
		if e.Id.Equal(nsCertType) {
			if _, err := asn1.Unmarshal(e.Value, &bits); err == nil && bits.At(bit) == 1 {
				ok = true
			}
		}
	}
	if ok {
		a.c.log(1, "", "VERIFY OK: nsCertType=%s", strings.ToUpper(want))
		return nil
	}
	a.c.log(1, "N", "VERIFY nsCertType ERROR: %s, require nsCertType=%s", subject, strings.ToUpper(want))
	return errNSCertType
}
