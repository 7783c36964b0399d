package tlsconf

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// crlStore holds revocation lists. A list in a file is looked at again before each handshake and read when
// its time or size has changed; when that fails, what was read before stays in force.
type crlStore struct {
	file, dir string
	fixed     []*crl // from the options and the CA files

	mu      sync.Mutex // guards what follows
	lists   []*crl     // from file
	modTime time.Time
	size    int64
	loaded  bool // file was read at least once
}

// crl is one parsed revocation list.
type crl struct {
	list    *x509.RevocationList
	revoked map[string]struct{} // big-endian serial numbers

	mu      sync.Mutex        // guards by
	by      *x509.Certificate // the authority whose signature was checked last
	byError error             // and what came of it
}

func hasCRL(text []byte) bool { return bytes.Contains(text, []byte("-----BEGIN X509 CRL-----")) }

func newCRLStore(v *Verify, caText []byte) *crlStore {
	s := &crlStore{file: v.CRLFile, dir: v.CRLDir}
	s.fixed, _ = parseCRLs(caText)
	if len(v.CRL) > 0 {
		lists, err := parseCRLs(v.CRL)
		if err == nil {
			s.fixed = append(s.fixed, lists...)
		}
	}
	return s
}

// parseCRLs reads lists in PEM, or one in DER.
func parseCRLs(text []byte) ([]*crl, error) {
	var lists []*crl
	add := func(der []byte) error {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return fmt.Errorf("revocation list %d: %w", len(lists)+1, err)
		}
		c := &crl{list: list, revoked: make(map[string]struct{}, len(list.RevokedCertificateEntries))}
		for _, e := range list.RevokedCertificateEntries {
			c.revoked[string(e.SerialNumber.Bytes())] = struct{}{}
		}
		list.RevokedCertificateEntries = nil // the map is what we ask
		lists = append(lists, c)
		return nil
	}
	if len(text) > 0 && text[0] == 0x30 {
		return lists, errors.Join(add(text))
	}
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return lists, nil
		}
		text = rest
		if block.Type == "X509 CRL" {
			if err := add(block.Bytes); err != nil {
				return lists, err
			}
		}
	}
}

// current returns the lists in force, reading the file when it changed. say hears what stock logs of that.
func (s *crlStore) current(say func(verb int, format string, args ...any)) []*crl {
	if s.file == "" {
		return s.fixed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.file)
	switch {
	case err != nil:
		say(1, "WARNING: Failed to stat CRL file, not reloading CRL.")
	case s.loaded && info.ModTime().Equal(s.modTime) && info.Size() == s.size:
	default:
		text, err := os.ReadFile(s.file)
		var lists []*crl
		if err == nil {
			lists, err = parseCRLs(text)
		}
		if err == nil && len(lists) == 0 {
			err = errors.New("no revocation list in PEM or DER form")
		}
		if err != nil {
			say(1, "CRL: cannot read CRL from file %s", s.file)
			break
		}
		s.lists, s.modTime, s.size, s.loaded = lists, info.ModTime(), info.Size(), true
		say(4, "CRL: loaded %d CRLs from file %s", len(lists), s.file)
	}
	return append(s.lists[:len(s.lists):len(s.lists)], s.fixed...)
}

// revocation checks each certificate of a chain against the list of its issuer. A missing list for one
// issuer is worth a warning; no list at all refuses everybody.
func (c *check) revocation(chain []*x509.Certificate) error {
	if c.crls == nil || c.crls.dir != "" && c.crls.file == "" && len(c.crls.fixed) == 0 {
		return nil
	}
	lists := c.crls.current(func(verb int, format string, args ...any) {
		c.say(0, chain[0], verb, format, args...)
	})
	if len(lists) == 0 {
		return c.fail(0, chain[0], "unable to get certificate CRL", nil)
	}
	for depth, cert := range chain {
		by := cert
		if depth+1 < len(chain) {
			by = chain[depth+1]
		}
		found := false
		for _, l := range lists {
			if !bytes.Equal(l.list.RawIssuer, cert.RawIssuer) {
				continue
			}
			found = true
			if reason, err := l.check(cert, by, c.at); reason != "" {
				return c.fail(depth, cert, reason, err)
			}
		}
		if !found {
			c.say(depth, cert, 1, "VERIFY WARNING: depth=%d, unable to get certificate CRL: %s", depth, Subject(cert))
		}
	}
	return nil
}

// check returns OpenSSL's words for why the list refuses cert, or nothing.
func (l *crl) check(cert, by *x509.Certificate, now time.Time) (string, error) {
	if err := l.signedBy(by); err != nil {
		return "CRL signature failure", err
	}
	if now.Before(l.list.ThisUpdate) {
		return "CRL is not yet valid", nil
	}
	if !l.list.NextUpdate.IsZero() && now.After(l.list.NextUpdate) {
		return "CRL has expired", nil
	}
	if _, ok := l.revoked[string(cert.SerialNumber.Bytes())]; ok {
		return "certificate revoked", nil
	}
	return "", nil
}

// signedBy remembers the last answer: lists are checked in every handshake, and authorities are few.
func (l *crl) signedBy(by *x509.Certificate) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil || !l.by.Equal(by) {
		l.by, l.byError = by, l.list.CheckSignatureFrom(by)
	}
	return l.byError
}

// revokedByDir looks for a file named by the serial number.
func (c *check) revokedByDir(depth int, cert *x509.Certificate) error {
	if c.crls == nil || c.crls.dir == "" {
		return nil
	}
	_, err := os.Stat(filepath.Join(c.crls.dir, cert.SerialNumber.String()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	subject := Subject(cert)
	if err != nil {
		// Not knowing is no reason to let a revoked certificate in.
		return c.fail(depth, cert, "unable to get certificate CRL", err)
	}
	return c.refuse(depth, cert, 2, "certificate revoked",
		fmt.Sprintf("VERIFY CRL: depth=%d, %s, serial=%s is revoked", depth, subject, cert.SerialNumber))
}
