package material

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/internal/pemtext"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
)

// check looks whether the files hold what their options promise, so that the message names the file and what to do, and so
// that an empty file is never taken for an option that was not given.
func check(o *config.Options, t *tlsconf.Options) error {
	for _, f := range []struct {
		src   config.Source
		text  []byte
		kind  string
		label string // end of the PEM label
	}{
		{o.CA, t.CA, noCA, "CERTIFICATE"},
		{o.Cert, t.Cert, noCert, "CERTIFICATE"},
		{o.Key, t.Key, noKey, "PRIVATE KEY"},
		{o.ExtraCerts, t.ExtraCerts, noExtraCerts, "CERTIFICATE"},
	} {
		if !f.src.Set() || hasBlock(f.text, f.label) {
			continue
		}
		return fmt.Errorf(f.kind+": %s", f.src, hint(f.text, f.label))
	}
	if o.PKCS12.Set() && len(t.PKCS12) == 0 {
		return fmt.Errorf(noPKCS12+": it is empty", o.PKCS12)
	}
	return nil
}

// What stock says of files that it cannot use, with the file.
const (
	noCA         = "Cannot load CA certificate file %s (no entries were read)"
	noCert       = "Cannot load certificate file %s"
	noKey        = "Cannot load private key file %s"
	noExtraCerts = "Error reading extra certificate: %s"
	noPKCS12     = "Error reading PKCS#12 file %s"
	noDH         = "Cannot load DH parameters from %s"
)

// checkDH looks whether the file of dh holds parameters. They are not used: the exchange is always one on curves.
func checkDH(o *config.Options) error {
	if !o.TLSServer || !o.DH.Set() || o.DH.Path == "none" {
		return nil
	}
	text, err := o.DH.Load()
	if err != nil {
		return fmt.Errorf(noDH+": %w", o.DH, config.Cause(err))
	}
	if !hasBlock(text, "DH PARAMETERS") {
		return fmt.Errorf(noDH+": %s", o.DH, hint(text, "DH PARAMETERS"))
	}
	return nil
}

// hasBlock reports whether text has a PEM block whose label ends so.
func hasBlock(text []byte, label string) bool {
	return pemtext.First(text, func(have string) bool { return strings.HasSuffix(have, label) }) != nil
}

// anyBlock is for pemtext.First.
func anyBlock(string) bool { return true }

// hint says what a file holds instead.
func hint(text []byte, label string) string {
	if len(bytes.TrimSpace(text)) == 0 {
		return "it is empty"
	}
	if b := pemtext.First(text, anyBlock); b != nil {
		return fmt.Sprintf("it holds a %q, a %q is needed", b.Type, label)
	}
	if text[0] == 0x30 {
		return "it is in DER form, PEM is needed: openssl x509 or pkey with -inform DER converts it"
	}
	return fmt.Sprintf("there is no PEM block %q in it", label)
}
