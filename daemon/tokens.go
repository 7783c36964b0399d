package daemon

import (
	"crypto/x509"
	"fmt"
	"io"
	"sync"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/tlsconf"
	"github.com/moongate-vpn/moongate/daemon/tokens"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// tokenStore is the smart cards of the running configuration.
type tokenStore struct {
	mu    sync.Mutex // guards store, also while it is used by the port: a store must not be closed under it
	store *tokens.Store
}

// open loads the modules of the options, in the place of those before. It is called between engines.
func (t *tokenStore) open(o *config.PKCS11, log logging.Func) (*tokens.Store, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.store != nil {
		t.store.Close()
		t.store = nil
	}
	if !o.Set() {
		return nil, nil
	}
	var err error
	t.store, err = tokens.Open(tokens.Config{
		Providers: o.Providers, Protected: o.Protected, CertPrivate: o.CertPrivate, PINCache: o.PINCache, Log: log,
	})
	return t.store, err
}

// identities lists the certificates on tokens; none before the first engine, where stock aborts.
func (t *tokenStore) identities() []server.PKCS11Identity {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []server.PKCS11Identity
	for _, id := range t.store.Identities() {
		out = append(out, server.PKCS11Identity{ID: id.ID.String(), Cert: id.Cert})
	}
	return out
}

// showTokens prints the certificates that a module offers.
func showTokens(o *config.Options, w io.Writer) error {
	path := "p11-kit-proxy.so"
	if len(o.Tool.Args) > 0 {
		path = o.Tool.Args[0]
	}
	failed := false
	s, err := tokens.Open(tokens.Config{Providers: []string{path}, Log: func(lv logging.Level, format string, args ...any) {
		stamp(w, fmt.Sprintf(format, args...))
		failed = failed || lv != logging.Info
	}})
	if err != nil {
		return err
	}
	defer s.Close()
	if failed {
		return fmt.Errorf("Failed to add PKCS#11 provider '%s", path) //nolint:staticcheck // the line of stock
	}
	fmt.Fprint(w, "\nThe following objects are available for use.\nEach object shown below may be used as parameter to\n"+
		"--pkcs11-id option please remember to use single quote mark.\n")
	for _, id := range s.Identities() {
		dn, serial := "", ""
		if cert, err := x509.ParseCertificate(id.Cert); err == nil {
			dn, serial = tlsconf.Subject(cert), fmt.Sprintf("%X", cert.SerialNumber.Bytes())
		}
		fmt.Fprintf(w, "\nCertificate\n       DN:             %s\n       Serial:         %s\n       Serialized id:  %s\n", dn, serial, id.ID)
	}
	return nil
}
