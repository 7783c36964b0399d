package tlsconf

import (
	"bytes"
	"cmp"
	"crypto/sha1" //nolint:gosec // verify-hash may name one
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/internal/bounded"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// NameType says what verify-x509-name is compared with.
type NameType uint8

// Types of verify-x509-name.
const (
	SubjectName NameType = iota // the whole subject in the form of [DN]
	FieldName                   // the user name field, see [Username]
	FieldPrefix                 // the same, its beginning
)

// Verify holds what is demanded of the peer's certificate. Zero values demand nothing.
type Verify struct {
	// RemoteCertTLS is "client" or "server": key usage must be there, and extended key usage must name
	// that role. Option remote-cert-tls.
	RemoteCertTLS string

	RequireKU bool     // remote-cert-ku without values: the extension has to be there
	KU        []uint32 // one of these bit sets has to be contained, first octet of the extension first: 0xa0
	EKU       string   // dotted object id, or OpenSSL's name of it. Option remote-cert-eku
	NSType    string   // "client" or "server": the Netscape extension has to say so. Option ns-cert-type

	X509Name     string
	X509NameType NameType
	WholeSubject bool // the log tells the subject of a peer with another name, not what was compared

	// UsernameFields is the option x509-username-field, see [Username].
	UsernameFields []string

	// Fingerprints are SHA-256 sums of acceptable peer certificates. Without a CA they replace the chain.
	Fingerprints [][]byte
	// Hashes are SHA-1 or SHA-256 sums of acceptable level-1 certificates. Option verify-hash.
	Hashes [][]byte

	CRL     []byte // revocation lists in PEM or DER, in place; nil: none, empty: one that cannot be read
	CRLFile string // the same in a file, read again when it changes
	CRLDir  string // folder in which a file named by decimal serial number revokes that certificate
	// Where is asked at each look where the path of CRLFile or CRLDir leads, below a root to come for one; nil leaves it as it is.
	Where func(path string) string
}

// verifier checks the certificates of peers. Immutable but for crls and signed, which lock themselves.
type verifier struct {
	v        Verify
	optional bool           // a peer without certificate passes
	roots    *x509.CertPool // names for the request of a server; nil: no CA option
	anchors  authorities    // self-signed ones of the CA options: where chains end
	helpers  authorities    // the others: links on the way
	profile  profile
	eku      *usage
	role     role      // of the peer
	crls     *crlStore // nil: none
	mayHold  bool      // capath, which may hold lists
	signed   *signatures
	now      func() time.Time
	notes    []string // what was passed over
}

func newVerifier(o *Options) (*verifier, error) {
	v := &verifier{v: o.Verify, now: o.Time, role: serverRole, signed: new(signatures)}
	if v.now == nil {
		v.now = time.Now
	}
	if o.Server {
		v.optional = o.ClientCert != RequireCert
		v.role = clientRole
	}
	var err error
	if v.profile, err = parseProfile(o.Profile); err != nil {
		return nil, err
	}
	switch o.Verify.RemoteCertTLS {
	case "":
	case "client":
		v.v.RequireKU, v.v.EKU = true, clientAuth.long
	case "server":
		v.v.RequireKU, v.v.EKU = true, serverAuth.long
	default:
		return nil, errors.New("--remote-cert-tls must be 'client' or 'server'")
	}
	if v.v.EKU != "" {
		if v.eku, err = parseUsage(v.v.EKU); err != nil {
			return nil, err
		}
	}
	for _, h := range v.v.Hashes {
		if len(h) != sha1.Size && len(h) != sha256.Size {
			return nil, fmt.Errorf("verify-hash: %d bytes are neither SHA1 nor SHA256", len(h))
		}
	}
	var lists []byte
	if len(o.CA) > 0 {
		list, bad := ReadCerts(o.CA)
		for _, err := range bad {
			v.notes = append(v.notes, fmt.Sprintf("WARNING: ca: %v: passed over", err))
		}
		if len(list) == 0 {
			return nil, errors.Join(append([]error{errors.New("ca: no certificate in PEM form")}, bad...)...)
		}
		v.trust(list)
		lists = append(lists, o.CA...)
	}
	if v.mayHold = o.CAPath != ""; v.mayHold {
		text, err := v.trustDir(o.CAPath)
		if err != nil {
			return nil, fmt.Errorf("capath: %w", err)
		}
		lists = append(lists, text...)
	}
	if v.v.CRL != nil || v.v.CRLFile != "" || v.v.CRLDir != "" || hasCRL(lists) {
		v.crls = newCRLStore(&v.v, lists)
	}
	v.v.CRL = nil
	return v, nil
}

// trust takes certificates of the CA options. As for stock, a chain has to end in a self-signed one; the
// others help to get there.
func (v *verifier) trust(list []*x509.Certificate) {
	if len(list) == 0 {
		return
	}
	if v.roots == nil {
		v.roots = x509.NewCertPool()
	}
	for _, c := range list {
		if !selfSigned(c) {
			v.helpers.add(c)
			continue
		}
		v.roots.AddCert(c)
		v.anchors.add(c)
	}
}

// hashed are the names under which OpenSSL looks for certificates in a folder: the hash of the subject and a number. A certificate
// under another name is not trusted: an administrator withdraws one by removing its link.
var hashed = regexp.MustCompile(`^[0-9a-f]{8}\.[0-9]+$`)

// trustDir reads every PEM file of a folder: certificates from those named by a hash, as `openssl rehash` does, and revocation lists
// from all. It returns the texts, for the lists in them.
func (v *verifier) trustDir(dir string) ([]byte, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, syscall.ENOTDIR) { // stock finds no certificate in it
		v.notes = append(v.notes, fmt.Sprintf("WARNING: capath: %s is no folder, and no certificate in it is trusted", dir))
		v.roots = cmp.Or(v.roots, x509.NewCertPool())
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		text, err := bounded.ReadNow(filepath.Join(dir, e.Name()), maxLists)
		if err != nil || !bytes.Contains(text, []byte("-----BEGIN ")) {
			continue // a stray file in there is no reason to stop, as for the library stock uses
		}
		all = append(append(all, text...), '\n')
		if !hashed.MatchString(e.Name()) {
			continue
		}
		list, bad := ReadCerts(text)
		for _, err := range bad {
			v.notes = append(v.notes, fmt.Sprintf("WARNING: capath: %s: %v: passed over", e.Name(), err))
		}
		v.trust(list)
	}
	if v.roots == nil {
		return nil, fmt.Errorf("no certificate named by its hash in %s: openssl rehash makes the names", dir)
	}
	return all, nil
}

// check is one handshake's verification: it carries the hooks.
type check struct {
	*verifier
	h  Hooks
	at time.Time // one moment for all dates: chain relies on the same verdict of valid
}

// verify checks the certificates of a peer, leaf first. It is safe for concurrent use.
func (v *verifier) verify(sent []*x509.Certificate, h Hooks) error {
	c := &check{v, h, v.now()}
	if len(sent) == 0 && v.optional {
		return nil
	}
	if len(sent) == 0 {
		return c.fail(0, nil, "no peer certificate", nil)
	}
	chain := sent[:1:1]
	if v.roots != nil {
		var err error
		if chain, err = c.chain(sent); err != nil {
			return err
		}
		if err := c.algorithms(chain); err != nil {
			return err
		}
		if err := c.revocation(chain); err != nil {
			return err
		}
	} else if len(v.v.Fingerprints) == 0 {
		return c.fail(0, sent[0], "unable to get local issuer certificate", errors.New("neither authority nor fingerprint"))
	}
	for depth := len(chain) - 1; depth >= 0; depth-- {
		if err := c.one(depth, chain[depth]); err != nil {
			return err
		}
	}
	if h.Chain != nil {
		h.Chain(chain)
	}
	return nil
}

// one does what is left for one certificate of a chain that holds: validity, pins, usage and names of the
// peer's own, the hook.
func (c *check) one(depth int, cert *x509.Certificate) error {
	if c.roots != nil {
		if err := c.valid(depth, cert); err != nil {
			return err
		}
	}
	if err := c.pinned(depth, cert); err != nil {
		return err
	}
	if depth == 0 {
		if err := c.purpose(cert); err != nil {
			return err
		}
		if err := c.name(cert); err != nil {
			return err
		}
	}
	if err := c.revokedByDir(depth, cert); err != nil {
		return err
	}
	subject := Subject(cert)
	if c.h.Cert != nil {
		if err := c.h.Cert(depth, cert, subject); err != nil {
			e := &VerifyError{Depth: depth, Subject: subject, Reason: "refused by tls-verify", Err: err}
			c.h.step(Step{Depth: depth, Cert: cert, Subject: subject, Err: e, Level: logging.Info})
			return e
		}
	}
	c.h.step(Step{
		Depth: depth, Cert: cert, Subject: subject, Passed: true, Level: logging.Summary,
		Line: fmt.Sprintf("VERIFY OK: depth=%d, %s", depth, subject),
	})
	return nil
}

// fail reports an error in OpenSSL's words, the way stock prints it.
func (c *check) fail(depth int, cert *x509.Certificate, reason string, cause error) error {
	line := fmt.Sprintf("VERIFY ERROR: depth=%d, could not extract X509 subject string from certificate", depth)
	e := &VerifyError{Depth: depth, Reason: reason, Err: cause}
	if cert != nil {
		e.Subject = Subject(cert)
		line = fmt.Sprintf("VERIFY ERROR: depth=%d, error=%s: %s, serial=%d", depth, reason, e.Subject, cert.SerialNumber)
	}
	c.h.step(Step{Depth: depth, Cert: cert, Subject: e.Subject, Err: e, Level: logging.Error, Line: line})
	return e
}

// refuse reports an error stock has a line of its own for.
func (c *check) refuse(depth int, cert *x509.Certificate, lv logging.Level, reason, line string) error {
	e := &VerifyError{Depth: depth, Subject: Subject(cert), Reason: reason}
	c.h.step(Step{Depth: depth, Cert: cert, Subject: e.Subject, Err: e, Level: lv, Line: line})
	return e
}

// say reports something that passed.
func (c *check) say(depth int, cert *x509.Certificate, lv logging.Level, format string, args ...any) {
	c.h.step(Step{Depth: depth, Cert: cert, Subject: Subject(cert), Level: lv, Line: fmt.Sprintf(format, args...)})
}
