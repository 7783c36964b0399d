package tlsconf

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/certs"
	"github.com/moongate-vpn/moongate/daemon/internal/bounded"
	"github.com/moongate-vpn/moongate/daemon/internal/pemtext"
	"github.com/moongate-vpn/moongate/daemon/logging"
)

// crlStore holds revocation lists. A list in a file is looked at again before each handshake and read when
// its time or size has changed; when that fails, what was read before stays in force.
type crlStore struct {
	file, dir string
	where     func(path string) string
	fixed     crlSet // from the options and the CA files

	mu      sync.Mutex // guards what follows
	read    crlSet     // from file
	modTime time.Time
	size    int64
	looked  bool  // for file at least once
	loaded  bool  // file was read at least once
	problem error // of the last look at file, or of the list in the options
}

// maxLists bounds a file of revocation lists, in bytes.
const maxLists = 64 << 20

// crlSet holds the lists of one text.
type crlSet struct {
	lists []*crl
	holes int // lists in it that cannot be read: nobody knows whom they revoke
}

// crl is one parsed revocation list.
type crl struct {
	*certs.List
	issuer string // canonical name

	mu      sync.Mutex        // guards what follows
	by      *x509.Certificate // the authority whose signature was checked last
	byError error             // and what came of it
}

func hasCRL(text []byte) bool { return bytes.Contains(text, []byte("-----BEGIN X509 CRL-----")) }

func newCRLStore(v *Verify, caText []byte) *crlStore {
	s := &crlStore{file: v.CRLFile, dir: v.CRLDir, where: v.Where}
	if s.where == nil {
		s.where = func(path string) string { return path }
	}
	s.fixed = parseCRLs(caText)
	inline := parseCRLs(v.CRL)
	s.fixed.lists = append(s.fixed.lists, inline.lists...)
	s.fixed.holes += inline.holes
	if v.CRL != nil {
		s.problem = inline.problem()
	}
	return s
}

// parseCRLs reads lists in PEM, or one in DER.
func parseCRLs(text []byte) crlSet {
	var set crlSet
	add := func(der []byte) {
		list, err := certs.ParseList(der)
		if err != nil {
			set.holes++
			return
		}
		set.lists = append(set.lists, &crl{List: list, issuer: certs.Canonical(list.RawIssuer)})
	}
	if len(text) > 0 && text[0] == 0x30 {
		add(text)
		return set
	}
	begun := bytes.Count(text, []byte("-----BEGIN X509 CRL-----"))
	for b := range pemtext.Blocks(text) {
		if b.Type == "X509 CRL" {
			begun--
			add(b.Bytes)
		}
	}
	set.holes += max(begun, 0) // blocks that are no PEM, or cut off
	return set
}

// problem is why some of a text is no revocation list: it is being written, was cut off, or is something else.
func (s crlSet) problem() error {
	switch {
	case s.holes > 0:
		return fmt.Errorf("%d of %d revocation lists cannot be read", s.holes, s.holes+len(s.lists))
	case len(s.lists) == 0:
		return errors.New("no revocation list in PEM or DER form")
	}
	return nil
}

// CRLProblem is why the revocation lists that crl-verify names could not be read when c was built, nil when they could.
func (c *Config) CRLProblem() error {
	s := c.verifier.crls
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

// current returns the lists in force, reading the file when it changed. say hears what stock logs of that.
func (s *crlStore) current(say logging.Func) crlSet {
	if s.file == "" {
		return s.fixed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	path := s.where(s.file)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		s.problem = err
		say(logging.Info, "WARNING: Failed to stat CRL file, not reloading CRL.")
	case s.loaded && info.ModTime().Equal(s.modTime) && info.Size() == s.size:
	default:
		read := bounded.ReadFile
		if s.looked {
			read = bounded.ReadNow // clients wait
		}
		s.looked = true
		text, err := read(path, maxLists)
		set := parseCRLs(text)
		s.problem = cmp.Or(err, set.problem())
		if err != nil || len(set.lists) == 0 || set.holes > 0 && s.loaded {
			say(logging.Info, "CRL: cannot read CRL from file %s", s.file)
			break
		}
		if set.holes > 0 {
			say(logging.Info, "CRL: cannot read CRL from file %s: %d of %d; who has no other list is refused", s.file, set.holes, set.holes+len(set.lists))
		}
		s.read, s.modTime, s.size, s.loaded = set, info.ModTime(), info.Size(), true
		say(logging.Detail, "CRL: loaded %d CRLs from file %s", len(set.lists), s.file)
	}
	all := s.read.lists
	return crlSet{append(all[:len(all):len(all)], s.fixed.lists...), s.read.holes + s.fixed.holes}
}

// revocation checks each certificate of a chain against the list of its issuer. A missing list for one
// issuer is worth a warning, unless a list could not be read; no list at all refuses every certificate, but under capath alone.
func (c *check) revocation(chain []*x509.Certificate) error {
	if c.crls == nil || c.crls.dir != "" && c.crls.file == "" && len(c.crls.fixed.lists)+c.crls.fixed.holes == 0 {
		if c.mayHold {
			for depth, cert := range chain {
				c.withoutList(depth, cert)
			}
		}
		return nil
	}
	set := c.crls.current(func(lv logging.Level, format string, args ...any) {
		c.say(0, chain[0], lv, format, args...)
	})
	if len(set.lists) == 0 {
		return c.fail(0, chain[0], "unable to get certificate CRL", nil)
	}
	for depth, cert := range chain {
		by := cert
		if depth+1 < len(chain) {
			by = chain[depth+1]
		}
		found, reason, err := c.revoked(set.lists, cert, by)
		switch {
		case reason != "":
			return c.fail(depth, cert, reason, err)
		case found:
		case set.holes > 0:
			return c.fail(depth, cert, "unable to get certificate CRL", errors.New("a revocation list cannot be read"))
		default:
			c.withoutList(depth, cert)
		}
	}
	return nil
}

func (c *check) withoutList(depth int, cert *x509.Certificate) {
	c.say(depth, cert, logging.Info, "VERIFY WARNING: depth=%d, unable to get certificate CRL: %s", depth, Subject(cert))
}

// revoked returns OpenSSL's words for why the lists refuse cert, or nothing. found is false when none speaks of it.
//
// Of the lists that the issuer signed, that in force counts which is about such certificates, and of several the newest. A list
// of some reasons or changes only cannot clear a certificate, and revokes it all the same.
func (c *check) revoked(lists []*crl, cert, by *x509.Certificate) (found bool, reason string, cause error) {
	name := certs.Canonical(cert.RawIssuer)
	var best *crl
	for _, l := range lists {
		if l.issuer != name {
			continue
		}
		switch err := l.signedBy(by); {
		case err != nil && errors.Is(err, certs.ErrKeyUsage):
			cause = err
			reason = "key usage does not include CRL signing"
		case err != nil:
			if reason == "" {
				reason, cause = "CRL signature failure", err
			}
		case l.Partial:
			if l.Revoked(cert) {
				return true, "certificate revoked", nil
			}
		case best == nil || l.before(best, cert, c.at):
			best = l
		}
	}
	if best == nil {
		return reason != "", reason, cause
	}
	switch {
	case best.ThisUpdate.IsZero():
		return true, "format error in CRL's lastUpdate field", nil
	case best.HasNext && best.NextUpdate.IsZero():
		return true, "format error in CRL's nextUpdate field", nil
	case c.at.Before(best.ThisUpdate):
		return true, "CRL is not yet valid", nil
	case best.HasNext && c.at.After(best.NextUpdate):
		return true, "CRL has expired", nil
	case best.Revoked(cert):
		return true, "certificate revoked", nil
	case best.Unknown:
		return true, "unhandled critical CRL extension", nil
	case !best.SpeaksOf(cert):
		return true, "different CRL scope", nil
	}
	return true, "", nil
}

// before reports whether l counts rather than other: it is in force, about such certificates, or newer.
func (l *crl) before(other *crl, cert *x509.Certificate, now time.Time) bool {
	if a, b := l.inForce(now), other.inForce(now); a != b {
		return a
	}
	if a, b := l.SpeaksOf(cert), other.SpeaksOf(cert); a != b {
		return a
	}
	return l.ThisUpdate.After(other.ThisUpdate)
}

func (l *crl) inForce(now time.Time) bool {
	return !l.ThisUpdate.IsZero() && !now.Before(l.ThisUpdate) && (!l.HasNext || now.Before(l.NextUpdate))
}

// signedBy remembers the last answer: lists are checked in every handshake, and authorities are few.
func (l *crl) signedBy(by *x509.Certificate) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil || !bytes.Equal(l.by.Raw, by.Raw) {
		l.by, l.byError = by, l.SignedBy(by)
		if l.byError == nil {
			l.byError = certs.MaySign(by)
		}
	}
	return l.byError
}

// revokedByDir looks for a file named by the serial number.
func (c *check) revokedByDir(depth int, cert *x509.Certificate) error {
	if c.crls == nil || c.crls.dir == "" {
		return nil
	}
	_, err := os.Stat(filepath.Join(c.crls.where(c.crls.dir), cert.SerialNumber.String()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	subject := Subject(cert)
	if err != nil {
		// Not knowing is no reason to let a revoked certificate in.
		return c.fail(depth, cert, "unable to get certificate CRL", err)
	}
	return c.refuse(depth, cert, logging.Summary, "certificate revoked",
		fmt.Sprintf("VERIFY CRL: depth=%d, %s, serial=%s is revoked", depth, subject, cert.SerialNumber))
}
