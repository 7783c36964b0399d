package config

// Options that are in the table for old files' sake, or that cannot be had here.

// withoutEffect is an option that is accepted and does nothing.
type withoutEffect struct {
	name     string
	min, max int
	facts    facts
	class    class
	text     string                            // the warning of the log, in which %s is the name; "" for none
	check    func(p *parser, a []string) error // of its parameters; nil for none
}

// refused is an option whose absence could be dangerous.
type refused struct {
	name     string
	min, max int
	facts    facts
	text     string // the error, in which %s is the name
	fatal    bool   // it is logged as other errors are that end the program
}

func optionsWithoutEffect() []withoutEffect {
	return []withoutEffect{
		{"allow-deprecated-insecure-static-crypto", 0, many, inMain, 0, "", nil},
		{"bcast-buffers", 1, 1, inMain, 0, "", func(p *parser, a []string) error {
			if n, err := integer(p, "bcast-buffers", a[0], 0, maxSeconds); err != nil || n < 1 {
				return errorf("--bcast-buffers parameter must be > 0")
			}
			return nil
		}},
		{"comp-noadapt", 0, 0, mainAll, classCompression, "", nil},
		{"disable-dco", 0, many, unruled, 0, "", nil},
		{"ecdh-curve", 1, 1, inMain | atOnce, 0, "Consider setting groups/curves preference with tls-groups instead of forcing a specific curve with ecdh-curve.", nil},
		{"engine", 0, 1, inMain, 0, "WARNING: --%s is ignored: OpenSSL is not used", nil},
		{"fast-io", 0, 0, inMain, 0, "", func(p *parser, _ []string) error {
			p.o.state.fastIO = true
			return nil
		}},
		{"gremlin", 1, 1, inMain, 0, "WARNING: --%s is ignored", nil},
		{"hash-size", 2, 2, inMain, 0, "", func(p *parser, a []string) error {
			for _, s := range a {
				if n, err := integer(p, "hash-size", s, 0, maxSeconds); err != nil || n < 1 {
					return errorf("--hash-size sizes must be >= 1 (preferably a power of 2)")
				}
			}
			p.o.state.serverOnly("--hash-size")
			return nil
		}},
		{"http-proxy-retry", 0, many, connRule, 0, proxyRetry, nil},
		{"http-proxy-timeout", 0, many, connRule, 0, "DEPRECATED OPTION: http-proxy-timeout: In OpenVPN 2.4 the timeout until a " +
			"connection to a server is established is managed with a single timeout set by connect-timeout", nil},
		{"iproute", 1, 1, inMain, 0, "WARNING: --%s is ignored: routes are set without external programs", nil},
		{"max-routes", 0, 1, unruled, 0, "DEPRECATED OPTION: --max-routes option ignored. The number of routes is unlimited as of OpenVPN 2.4. This option will be removed in a future version, please remove it from your configuration.", nil},
		{"memstats", 1, 1, inMain, 0, "", nil},
		{"persist-local-ip", 0, 0, inMain, 0, "", nil},
		{"prng", 1, 2, unruled, 0, "NOTICE: --prng option ignored (the random numbers of the system are used)", nil},
		{"push-continuation", 1, 1, inPush | ownToSession, 0, "", nil},
		{"route-method", 1, 1, mainPush, classRouteExtras, "", nil},
		{"socks-proxy-retry", 0, many, connRule, 0, proxyRetry, nil},
		{"tun-ipv6", 0, 0, unruled, 0, "", func(p *parser, _ []string) error {
			if p.ctx != pushContext {
				p.warn("Note: option tun-ipv6 is ignored because modern operating systems do not need special IPv6 tun handling anymore.")
			}
			return nil
		}},
		{"use-prediction-resistance", 0, 0, inMain, 0, "WARNING: --%s is ignored: mbed TLS is not used", nil},
	}
}

func refusedOptions() []refused {
	return []refused{
		{"client-cert-not-required", 0, 0, inMain, "REMOVED OPTION: --%s, use '--verify-client-cert none' instead", true},
		{"compat-names", 0, many, inMain, "--%s was removed in OpenVPN 2.5. Update your configuration.", false},
		{"msg-channel", 1, many, inMain, "--%s is only supported on Windows", false},
		{"mtu-dynamic", 0, many, inMain, "--%s has been replaced by --fragment", false},
		{"no-name-remapping", 0, many, inMain, "--%s was removed in OpenVPN 2.5. Update your configuration.", false},
	}
}

const proxyRetry = "DEPRECATED OPTION: http-proxy-retry and socks-proxy-retry: In OpenVPN 2.4 proxy connection retries are handled like " +
	"regular connections. Use connect-retry-max 1 to get a similar behavior as before."

// withoutCards are the options about smart cards in a build without them.
func withoutCards() (all []refused) {
	for _, r := range pkcs11Rows() {
		all = append(all, refused{r.name, 0, r.max, r.facts, "--%s: smart cards are not supported; use --management-external-key instead", false})
	}
	return all
}

func (w withoutEffect) option() *option {
	apply := func(p *parser, a []string) error {
		if w.text != "" {
			p.warn(w.text, w.name)
		}
		if w.check == nil {
			return nil
		}
		return w.check(p, a)
	}
	return &option{row{w.name, w.min, w.max, w.facts, w.class, apply}, Ignored, sprintf(w.text, []any{w.name})}
}

func (r refused) option() *option {
	text := sprintf(r.text, []any{r.name})
	apply := func(*parser, []string) error { return &Error{Text: text, Fatal: r.fatal} }
	return &option{row{r.name, r.min, r.max, r.facts, 0, apply}, Refused, text}
}
