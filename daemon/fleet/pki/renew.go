package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// AuthorityRenewBefore is how long before its end the fleet's authority is renewed: longer than any daemon runs, because one that runs goes
// on with the authority that it began with.
const AuthorityRenewBefore = 5 * 365 * 24 * time.Hour

// RenewBefore is how long before its end a node's certificate is renewed, and WarnBefore how long before it people hear of one that is not.
const (
	RenewBefore = 90 * 24 * time.Hour
	WarnBefore  = 30 * 24 * time.Hour
)

// proofWithin bounds the handshake of a new certificate with itself.
const proofWithin = 10 * time.Second

// Ends is when the node's certificate ends, after TLS.
func (n *Node) Ends() time.Time {
	if pair := n.pair.Load(); pair != nil {
		return pair.Leaf.NotAfter
	}
	return time.Time{}
}

// TrustEnds is when the authority ends by which this process, since TLS, knows other nodes. A later one in the folder counts from its next start on.
func (n *Node) TrustEnds() time.Time {
	if end := n.trustEnds.Load(); end != nil {
		return *end
	}
	return time.Time{}
}

// RenewAuthority gives the fleet's authority a later end when its end is near, and reports whether it did. The key and the name stay, so that old and
// new certificates of the authority accept the same nodes, and each node renews its own copy when it likes. The new one is not put in place before the
// node's certificate has been accepted by it.
func (n *Node) RenewAuthority(ctx context.Context, now time.Time) (bool, error) {
	old, err := n.Authority()
	if err != nil || old.cert.NotAfter.Sub(now) > AuthorityRenewBefore {
		return false, err
	}
	next, err := signItself(old.cert.Subject, old.key, old.cert.NotBefore, now)
	if err != nil {
		return false, err
	}
	pair, _, err := n.identity()
	if err != nil {
		return false, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(next.cert)
	if err := shakeHands(ctx, configure(func() *tls.Certificate { return pair }, pool)); err != nil {
		return false, fmt.Errorf("the node's certificate is not accepted by a renewed authority: %w", err)
	}
	return true, WriteFile(filepath.Join(n.Dir, fileCA), pemOf("CERTIFICATE", next.cert.Raw))
}

// ErrAuthorityEnds says that a new certificate would end no later: the fleet's authority ends.
var ErrAuthorityEnds = errors.New("the fleet's authority ends then as well: make a new fleet")

// Renew replaces the node's certificate by one for the same key, so that one file changes and a crash leaves a pair that fits. It is not
// replaced before the new one has been proven: by its chain, by a handshake of both ends, and by prove, which gets a configuration with it.
func (n *Node) Renew(ctx context.Context, now time.Time, prove func(conf *tls.Config) error) error {
	old, pool, err := n.identity()
	if err != nil {
		return err
	}
	authority, err := n.Authority()
	if err != nil {
		return err
	}
	signer, ok := old.PrivateKey.(crypto.Signer)
	if !ok {
		return errors.New("the node's key cannot sign")
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: n.Name}}, signer)
	if err != nil {
		return err
	}
	text, err := authority.Issue(n.Name, csr, now)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(n.Dir, fileKey))
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(text, key)
	if err != nil {
		return err
	}
	pair.Certificate = append(pair.Certificate, old.Certificate[len(old.Certificate)-1])
	if !pair.Leaf.NotAfter.After(old.Leaf.NotAfter) {
		return ErrAuthorityEnds
	}
	conf := configure(func() *tls.Certificate { return &pair }, pool)
	if err := shakeHands(ctx, conf); err != nil {
		return fmt.Errorf("the new certificate is not accepted by itself: %w", err)
	}
	if err := prove(conf); err != nil {
		return err
	}
	path := filepath.Join(n.Dir, fileCert)
	if err := WriteFile(path, text); err != nil {
		return err
	}
	if back, err := os.ReadFile(path); err != nil || !bytes.Equal(back, text) {
		return fmt.Errorf("%s does not hold what was written: %w", path, err)
	}
	n.pair.Store(&pair)
	return nil
}

// shakeHands lets both ends of a connection accept each other.
func shakeHands(ctx context.Context, conf *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, proofWithin)
	defer cancel()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	server := make(chan error, 1)
	go func() {
		s := tls.Server(a, conf)
		err := s.HandshakeContext(ctx)
		if err == nil {
			_, err = s.Write([]byte{1}) // the client learns with it that it was accepted
		}
		server <- err
	}()
	c := tls.Client(b, conf)
	err := c.HandshakeContext(ctx)
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	b.Close()
	return errors.Join(err, <-server)
}
