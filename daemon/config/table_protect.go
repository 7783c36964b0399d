package config

import "github.com/moongate-vpn/moongate/mgmt"

// protectionRows say who may use the management listener written above them. They are extensions of ours.
func protectionRows() []row {
	return []row{
		{"management-tls", 2, 3, inMain, 0, func(p *parser, a []string) error {
			m, err := p.listener()
			if err != nil {
				return err
			}
			m.Cert, m.Key, m.ClientCA = Source{Path: a[0]}, Source{Path: a[1]}, Source{}
			if len(a) > 2 {
				m.ClientCA.Path = a[2]
			}
			return nil
		}},
		{"management-role", 1, 2, inMain, 0, func(p *parser, a []string) error {
			m, err := p.listener()
			if err != nil {
				return err
			}
			role, err := mgmt.ParseRole(a[0])
			if err != nil {
				return errorf("--management-role: %v", err)
			}
			if len(a) == 1 {
				m.Role = role
				return nil
			}
			m.RolePasswords = append(m.RolePasswords, RolePassword{Role: role, Source: Source{Path: a[1]}})
			return nil
		}},
	}
}

// listener is the management listener that was written last.
func (p *parser) listener() (*ManagementAddr, error) {
	n := len(p.o.ManagementListen)
	if n == 0 {
		return nil, errorf("--%s belongs behind the --management it is about", p.line.Name)
	}
	return &p.o.ManagementListen[n-1], nil
}

// checkProtection holds the rules of management-tls.
func (p *parser) checkProtection() error {
	for _, m := range p.o.ManagementListen {
		switch {
		case !m.Cert.Set():
		case m.Unix != "":
			return errorf("--management-tls is for TCP listeners; %s is a unix domain socket", m.Unix)
		case p.o.ManagementClient:
			return errorf("--management-tls cannot be used with --management-client")
		}
	}
	return nil
}

// protectionFiles are the files of the listeners.
func (o *Options) protectionFiles() (checks []fileCheck) {
	for _, m := range o.ManagementListen {
		checks = append(checks,
			fileCheck{option: "--management user/password file", source: m.Password, mode: accessRead, private: true, stdin: true},
			fileCheck{option: "--management-tls certificate", source: m.Cert, mode: accessRead},
			fileCheck{option: "--management-tls key", source: m.Key, mode: accessRead, private: true},
			fileCheck{option: "--management-tls client authority", source: m.ClientCA, mode: accessRead})
		for _, r := range m.RolePasswords {
			checks = append(checks, fileCheck{option: "--management-role password file", source: r.Source, mode: accessRead, private: true})
		}
	}
	return checks
}

// open reports whether any host that reaches the listener is let in with more than a look.
func (m *ManagementAddr) open() bool {
	return !m.Password.Set() && len(m.RolePasswords) == 0 && !m.ClientCA.Set() && m.Role != mgmt.RoleObserve
}
