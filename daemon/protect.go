package daemon

import (
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// passwords are those of a listener, each with its role: the one behind management, then those of management-role.
func (w *ways) passwords(addr config.ManagementAddr, role mgmt.Role) ([]server.Password, error) {
	var list []server.Password
	switch {
	case addr.Password.Path == "stdin":
		pass, err := w.terminal.ask(w.ctx, "Enter Management Password:", false)
		if err != nil {
			return nil, err
		}
		list = append(list, server.Password{Text: pass, Role: role})
	case addr.Password.Set():
		pass, err := firstLine(addr.Password)
		if err != nil {
			return nil, err
		}
		if pass == "" { // it would let in any client that presses Enter
			return nil, fmt.Errorf("Error reading password from Management authfile: %s", addr.Password) //nolint:staticcheck // the line scripts know
		}
		list = append(list, server.Password{Text: pass, Role: role})
	}
	for _, r := range addr.RolePasswords {
		pass, err := firstLine(r.Source)
		if err != nil {
			return nil, err
		}
		if pass == "" {
			return nil, fmt.Errorf("management-role %s: %s holds no password", r.Role, r.Source)
		}
		list = append(list, server.Password{Text: pass, Role: r.Role})
	}
	return list, nil
}

func firstLine(src config.Source) (string, error) {
	b, err := src.Load()
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimRight(line, "\r"), nil
}

// protection is the TLS of a listener (management-tls).
func protection(addr config.ManagementAddr) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(addr.Cert.Path, addr.Key.Path)
	if err != nil {
		return nil, fmt.Errorf("management-tls %s %s: %w", addr.Cert, addr.Key, err)
	}
	var ca []byte
	if addr.ClientCA.Set() {
		if ca, err = addr.ClientCA.Load(); err != nil {
			return nil, fmt.Errorf("management-tls: %w", err)
		}
	}
	cfg, err := server.TLSConfig(cert, ca)
	if err != nil {
		return nil, fmt.Errorf("management-tls: %s: %w", addr.ClientCA, err)
	}
	return cfg, nil
}
