package material

import (
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // a fingerprint that scripts are used to
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// CertVars are the script variables of a certificate, "name=value". With x509-track only the attributes it names are among
// them: of the peer's own certificate, or with a plus sign of every one in the chain.
func CertVars(o *config.Options, depth int, cert *x509.Certificate) []string {
	all := Vars(depth, cert)
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
		if text := extensionText(attr, cert); text != "" {
			vars = append(vars, prefix+attr+"="+text)
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

// extensionText prints what x509-track names and the subject does not hold, as OpenSSL does.
func extensionText(name string, cert *x509.Certificate) string {
	switch name {
	case "SHA1":
		sum := sha1.Sum(cert.Raw) //nolint:gosec // a fingerprint
		return strings.ToUpper(colonHex(sum[:]))
	case "subjectAltName":
		return altNames(cert)
	case "keyUsage":
		return strings.Join(tlsconf.KeyUsages(cert), ", ")
	case "extendedKeyUsage":
		return strings.Join(tlsconf.Purposes(cert), ", ")
	}
	return ""
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

// ExportCert writes the certificate a tls-verify script looks at into the folder of tls-export-cert and returns the file's
// path, for peer_cert. The caller removes the file. Without the option the path is empty.
func ExportCert(o *config.Options, cert *x509.Certificate) (path string, err error) {
	if o.TLSExportCert == "" {
		return "", nil
	}
	var name [16]byte
	rand.Read(name[:])
	path = filepath.Join(o.TLSExportCert, "openvpn_pef_"+hex.EncodeToString(name[:])+".tmp")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("export certificate: %w", err)
	}
	err = pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		_ = os.Remove(path)
		return "", fmt.Errorf("export certificate: %w", err)
	}
	return path, nil
}
