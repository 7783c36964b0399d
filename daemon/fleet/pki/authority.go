package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// How long certificates are good for, and how far a clock may be behind.
const (
	authorityYears = 20
	nodeYears      = 10
	clockSlack     = time.Hour
)

// serverName is in every node's certificate. Nodes are told by their common names; addresses may change.
const serverName = "node.fleet.moongate"

// Authority signs the certificates of a fleet's nodes.
type Authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(fleet string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return signItself(pkix.Name{CommonName: "moongate fleet " + fleet}, key, now.Add(-clockSlack), now)
}

// signItself makes the certificate of an authority that is good from a time on, and for its years from now.
func signItself(name pkix.Name, key crypto.Signer, from, now time.Time) (*Authority, error) {
	tmpl := &x509.Certificate{
		SerialNumber: serial(), Subject: name, NotBefore: from, NotAfter: now.AddDate(authorityYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &Authority{cert: cert, key: key}, err
}

// Authority reads the fleet's authority from the folder.
func (n *Node) Authority() (*Authority, error) {
	cert, err := os.ReadFile(filepath.Join(n.Dir, fileCA))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(n.Dir, fileCAKey))
	if err != nil {
		return nil, err
	}
	return parseAuthority(cert, key)
}

func parseAuthority(cert, key []byte) (*Authority, error) {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("the fleet's authority: %w", err)
	}
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("the fleet's authority is none")
	}
	return &Authority{cert: pair.Leaf, key: signer}, nil
}

// Issue signs the certificate of a node for the key of its request, which is DER, and returns PEM.
func (a *Authority) Issue(name string, request []byte, now time.Time) ([]byte, error) {
	csr, err := x509.ParseCertificateRequest(request)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return nil, fmt.Errorf("request for a certificate: %w", err)
	}
	end := now.AddDate(nodeYears, 0, 0)
	if end.After(a.cert.NotAfter) {
		end = a.cert.NotAfter
	}
	tmpl := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name}, DNSNames: []string{serverName},
		NotBefore: now.Add(-clockSlack), NotAfter: end,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, csr.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return pemOf("CERTIFICATE", der), nil
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b) //nolint:errcheck // never fails
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pemOf("PRIVATE KEY", der), nil
}

// request makes a key, and the request for its certificate.
func request(name string) (key, csr []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	csr, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, k)
	if err != nil {
		return nil, nil, err
	}
	key, err = keyPEM(k)
	return key, csr, err
}

// fingerprint tells certificates apart: SHA-256, hexadecimal.
func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}

// TLS is the configuration for both ends of a connection between nodes. Each end must have a certificate of the fleet's authority, and
// welcome may refuse a node by its name; nil refuses none. A renewed certificate counts for the connections that begin after it.
func (n *Node) TLS(welcome func(name string) error) (*tls.Config, error) {
	pair, pool, err := n.identity()
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(pair.Certificate[len(pair.Certificate)-1])
	if err != nil {
		return nil, err
	}
	if now := time.Now(); now.Before(pair.Leaf.NotBefore) || now.After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("the node's certificate is good from %v to %v, and it is %v: is the clock right?", pair.Leaf.NotBefore, pair.Leaf.NotAfter, now.UTC())
	}
	n.pair.CompareAndSwap(nil, pair)
	n.trustEnds.CompareAndSwap(nil, &root.NotAfter)
	conf := configure(n.pair.Load, pool)
	conf.VerifyConnection = func(cs tls.ConnectionState) error {
		if welcome == nil || len(cs.VerifiedChains) == 0 {
			return nil
		}
		return welcome(cs.VerifiedChains[0][0].Subject.CommonName)
	}
	return conf, nil
}

// identity reads the node's certificate, with the authority's behind it: one that joins knows the authority by its fingerprint.
func (n *Node) identity() (*tls.Certificate, *x509.CertPool, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(n.Dir, fileCert), filepath.Join(n.Dir, fileKey))
	if err != nil {
		return nil, nil, fmt.Errorf("the node's certificate: %w", err)
	}
	ca, err := os.ReadFile(filepath.Join(n.Dir, fileCA))
	if err != nil {
		return nil, nil, err
	}
	pool := x509.NewCertPool()
	block, _ := pem.Decode(ca)
	if block == nil || !pool.AppendCertsFromPEM(ca) {
		return nil, nil, fmt.Errorf("%s holds no certificate", filepath.Join(n.Dir, fileCA))
	}
	pair.Certificate = append(pair.Certificate, block.Bytes)
	return &pair, pool, nil
}

func configure(pair func() *tls.Certificate, pool *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: serverName,
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair(), nil },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair(), nil },
		RootCAs:              pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

// Pool reads a file of authorities.
func Pool(path string) (*x509.CertPool, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return pool, nil
}
