package config

import "slices"

// managementRows are the options of the management port.
func managementRows() []row {
	return []row{
		{"management", 2, 3, inMain, 0, func(p *parser, a []string) error {
			m := ManagementAddr{Host: a[0], Port: a[1]}
			if a[1] == "unix" {
				m = ManagementAddr{Unix: a[0]}
			}
			if len(a) > 2 {
				m.Password = Source{Path: a[2]}
			}
			p.o.ManagementListen = append(p.o.ManagementListen, m)
			return nil
		}},
		{"management-client-user", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.ManagementClientUser })},
		{"management-client-group", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.ManagementClientGroup })},
		{"management-external-key", 0, many, inMain, 0, func(p *parser, a []string) error {
			for _, f := range a {
				if !slices.Contains([]string{"nopadding", "pkcs1", "pss", "digest"}, f) {
					return errorf("Unknown management-external-key flag: %s", f)
				}
			}
			if len(a) == 0 {
				a = []string{"pkcs1"}
			}
			p.o.ManagementExternalKey, p.o.ManagementExternalKeyFlags = true, append(slices.Clip(p.o.ManagementExternalKeyFlags), a...)
			return nil
		}},
		{"script", 1, many, inMain | atOnce, 0, luaScript},
		{"metrics", 1, 3, inMain, 0, metrics},
		{"journal", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.Journal.Dir })},
		{"journal-syslog", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.Journal.Syslog })},
		{"journal-webhook", 1, 2, inMain, 0, webhook},
		{"journal-nats", 2, 3, inMain, 0, natsSink},
		{"fleet", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.Fleet.Dir })},
		{"fleet-limit", 1, 3, inMain | atOnce, 0, fleetLimit},
		{"fleet-route", 1, 9, inMain, 0, fleetRoute},
		{"management-external-cert", 1, 1, inMain, 0, text(func(o *Options) *string { return &o.ManagementExternalCert })},
		{"management-log-cache", 1, 1, inMain | atOnce, 0, func(p *parser, a []string) error {
			n, err := integer(p, "management-log-cache", a[0], 1, maxSeconds)
			if err != nil {
				return errorf("--management-log-cache parameter is out of range")
			}
			p.o.ManagementLogCache = n
			return nil
		}},
		{"management-client", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.ManagementClient })},
		{"management-query-passwords", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.ManagementQueryPasswords })},
		{"management-query-remote", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.ManagementQueryRemote })},
		{"management-query-proxy", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.ManagementQueryProxy })},
		{"management-query-token", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.ManagementQueryToken })},
		{"management-hold", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.ManagementHold })},
		{"management-signal", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.ManagementSignal })},
		{"management-forget-disconnect", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.ManagementForgetDisconnect })},
		{"management-up-down", 0, 0, inMain, 0, flag(func(o *Options) *bool { return &o.ManagementUpDown })},
		{"management-client-auth", 0, 0, inMain | atOnce, 0, flag(func(o *Options) *bool { return &o.ManagementClientAuth })},
	}
}
