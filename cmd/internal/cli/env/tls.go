package env

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
)

// tls holds what --ca, --cert and --key, the file of targets, or MOONGATE_CA, MOONGATE_CERT and MOONGATE_KEY ask for at tls:// addresses,
// nil for nothing. A file that is wrong is a UsageError.
func (e *Env) tls(t target.Target) (*tls.Config, error) {
	first := func(flag, named, variable string) string {
		if flag != "" {
			return flag
		}
		if named != "" {
			return named
		}
		return e.Getenv(variable)
	}
	ca, cert, key := first(e.CA, t.CA, "MOONGATE_CA"), first(e.Cert, t.Cert, "MOONGATE_CERT"), first(e.Key, t.Key, "MOONGATE_KEY")
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
