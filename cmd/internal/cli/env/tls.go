package env

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
)

// TLS is what --ca, --cert and --key (MOONGATE_CA, MOONGATE_CERT, MOONGATE_KEY) ask for at tls:// addresses, nil for
// nothing. A file that is wrong is a UsageError.
func (e *Env) TLS() (*tls.Config, error) {
	or := func(flag, variable string) string {
		if flag != "" {
			return flag
		}
		return e.Getenv(variable)
	}
	ca, cert, key := or(e.CA, "MOONGATE_CA"), or(e.Cert, "MOONGATE_CERT"), or(e.Key, "MOONGATE_KEY")
	if ca == "" && cert == "" && key == "" {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, Usagef("--ca: %v", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(bytes.TrimPrefix(pem, []byte("\ufeff"))) {
			return nil, Usagef("--ca: %s holds no certificate", ca)
		}
	}
	if (cert == "") != (key == "") {
		return nil, Usagef("--cert and --key go together")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, Usagef("--cert, --key: %v", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
