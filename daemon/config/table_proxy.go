package config

import "slices"

// proxyRows are the options about proxies.
func proxyRows() []row {
	return []row{
		{"http-proxy", 1, 4, connRule, 0, func(p *parser, a []string) error {
			if len(a) < 2 {
				return errorf("http-proxy port number not defined")
			}
			return p.setHTTPProxy(a)
		}},
		{"http-proxy-override", 2, 3, inMain, 0, func(p *parser, a []string) error {
			p.o.state.proxyOverride = slices.Clone(a)
			return nil
		}},
		{"http-proxy-option", 1, 3, connRule, 0, func(p *parser, a []string) error {
			h := p.c.httpProxy()
			switch {
			case a[0] == "VERSION" && len(a) == 2:
				h.Version = a[1]
			case a[0] == "AGENT" && len(a) == 2:
				h.Agent = a[1]
			case len(a) < 2:
				return errorf("Bad http-proxy-option or missing or extra parameter: '%s'", a[0])
			case a[0] == "CUSTOM-HEADER" || a[0] == "EXT1" || a[0] == "EXT2":
				if len(h.Headers) == 10 {
					return errorf("Cannot use more than 10 http-proxy-option CUSTOM-HEADER : '%s'", a[1])
				}
				h.Headers = append(h.Headers, [2]string{a[1], append(a, "")[2]})
			default:
				return errorf("Bad http-proxy-option or missing or extra parameter: '%s'", a[0])
			}
			return nil
		}},
		{"http-proxy-user-pass", 1, many, inMain | inline, 0, func(p *parser, a []string) error {
			p.c.httpProxy().UserPass = p.source(a)
			return nil
		}},
		{"socks-proxy", 1, 3, connRule, 0, func(p *parser, a []string) error {
			s := &SOCKSProxy{Host: a[0], Port: "1080"}
			if len(a) > 1 {
				s.Port = a[1]
			}
			if len(a) > 2 {
				s.AuthFile = a[2]
			}
			p.c.SOCKSProxy = s
			return nil
		}},
	}
}

// httpProxy returns the proxy options of c, not shared with any other profile.
func (c *Connection) httpProxy() *HTTPProxy {
	h := &HTTPProxy{Version: "1.0"}
	if c.HTTPProxy != nil {
		*h = *c.HTTPProxy
		h.Headers = slices.Clone(h.Headers)
	}
	c.HTTPProxy = h
	return h
}

func (p *parser) setHTTPProxy(a []string) error {
	h := p.c.httpProxy()
	h.Host, h.Port = a[0], a[1]
	if len(a) > 2 { // else the login of a line before stays
		h.Auth, h.AuthFile, h.AuthAuto, h.AuthAutoNCT = "none", "", false, false
		switch a[2] {
		case "auto":
			h.AuthAuto = true
		case "auto-nct":
			h.AuthAuto, h.AuthAutoNCT = true, true
		default:
			h.AuthFile, h.Auth = a[2], "basic"
		}
	}
	if len(a) > 3 {
		h.Auth = a[3]
		switch h.Auth {
		case "none", "basic", "digest", "ntlm", "ntlm2":
		default:
			return errorf("unknown http authentication method: '%s'", h.Auth)
		}
	}
	return nil
}
