package client

import (
	"context"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/credentials"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// askProxy lets the management port choose the proxy of an attempt.
func (d *dialer) askProxy(ctx context.Context, prof *config.Connection) error {
	answer, err := d.port.AskProxy(ctx, d.remotes.current+1, prof.Proto.IsTCP(), prof.Remote)
	if err != nil {
		return err
	}
	prof.HTTPProxy, prof.SOCKSProxy = nil, nil
	switch answer.Kind {
	case server.ProxyHTTP:
		prof.HTTPProxy = &config.HTTPProxy{Host: answer.Host, Port: answer.Port, AuthAuto: true, AuthAutoNCT: answer.NoCleartext}
	case server.ProxySOCKS:
		prof.SOCKSProxy = &config.SOCKSProxy{Host: answer.Host, Port: answer.Port}
	}
	return nil
}

// dialTarget is the address that a socket connects to: the server's, or that of the proxy in front of it.
func dialTarget(prof *config.Connection) (host, port string) {
	switch {
	case prof.HTTPProxy != nil:
		return prof.HTTPProxy.Host, prof.HTTPProxy.Port
	case prof.SOCKSProxy != nil:
		return prof.SOCKSProxy.Host, prof.SOCKSProxy.Port
	default:
		return prof.Remote, prof.RemotePort
	}
}

// proxyLogin gets the credentials for an HTTP proxy that are known, or known to be needed: those of a file or block,
// those that a person gave before, and those that a person has to give when the method is configured. Others are asked
// for once the proxy wants them.
func (d *dialer) proxyLogin(ctx context.Context, prof *config.Connection) error {
	d.proxyAuth = server.Credentials{}
	p := prof.HTTPProxy
	if p == nil {
		return nil
	}
	if src := httpSource(p); fromFile(src) {
		var err error
		d.proxyAuth, err = loadProxyLogin(src)
		return err
	}
	if user, pass, ok := d.secrets.proxy(); ok {
		d.proxyAuth = server.Credentials{Username: user, Password: pass}
		return nil
	}
	if p.AuthAuto || p.Auth != string(transport.HTTPAuthBasic) && p.Auth != string(transport.HTTPAuthDigest) {
		return nil
	}
	var err error
	d.proxyAuth, err = d.askHTTPLogin(ctx)
	return err
}

// askHTTPLogin asks for the credentials of an HTTP proxy. They are kept for the next connection, but for auth-nocache.
func (q *questions) askHTTPLogin(ctx context.Context) (server.Credentials, error) {
	cred, err := q.askProxyLogin(ctx, mgmt.SecretHTTPProxy)
	if err == nil {
		q.secrets.on(func(s *credentials.Set) { s.ProxyAnswered(cred.Username, cred.Password, q.opts.AuthNocache) })
	}
	return cred, err
}

// httpSource is where credentials for an HTTP proxy come from; the zero source asks.
func httpSource(p *config.HTTPProxy) config.Source {
	if !p.UserPass.Set() && p.AuthFile != "" {
		return config.Source{Path: p.AuthFile}
	}
	return p.UserPass
}

func fromFile(src config.Source) bool { return src.Set() && src.Path != "stdin" }

// proxies fills in the proxy of a profile.
func (d *dialer) proxies(prof *config.Connection, cfg *transport.DialConfig) {
	if p := prof.SOCKSProxy; p != nil {
		cfg.SOCKS = &transport.SOCKSProxy{}
		if src := (config.Source{Path: p.AuthFile}); p.AuthFile != "" {
			cfg.SOCKS.Credentials = func(ctx context.Context) (string, string, error) {
				if fromFile(src) {
					cred, err := loadProxyLogin(src)
					return cred.Username, cred.Password, final(err)
				}
				cred, err := d.askProxyLogin(ctx, mgmt.SecretSOCKSProxy)
				return cred.Username, cred.Password, final(err)
			}
		}
		return
	}
	p := prof.HTTPProxy
	cfg.HTTP = &transport.HTTPProxy{
		Auth: transport.HTTPAuth(p.Auth), Version: p.Version, Agent: p.Agent,
		Username: d.proxyAuth.Username, Password: d.proxyAuth.Password,
	}
	for _, h := range p.Headers {
		cfg.HTTP.Headers = append(cfg.HTTP.Headers, strings.TrimSuffix(h[0]+": "+h[1], ": "))
	}
	switch {
	case p.AuthAutoNCT:
		cfg.HTTP.Auth = transport.HTTPAuthAutoNCT
	case p.AuthAuto:
		cfg.HTTP.Auth = transport.HTTPAuthAuto
	}
	if fromFile(httpSource(p)) {
		return // a file says the same again
	}
	cfg.HTTP.Credentials = func(ctx context.Context, refused bool) (string, string, error) {
		if refused {
			d.log(logging.Warn, "Note: previous '%s' credentials failed", mgmt.SecretHTTPProxy)
			d.port.PasswordFailed(mgmt.SecretHTTPProxy, "previous auth credentials failed")
		}
		cred, err := d.askHTTPLogin(ctx)
		return cred.Username, cred.Password, final(err)
	}
}

// loadProxyLogin reads a file or block of two lines.
func loadProxyLogin(src config.Source) (server.Credentials, error) {
	b, err := src.Load()
	if err != nil {
		return server.Credentials{}, err
	}
	user, rest, _ := strings.Cut(string(b), "\n")
	return server.Credentials{Username: strings.TrimRight(user, "\r"), Password: firstLine([]byte(rest))}, nil
}

// askProxyLogin asks the management port or the terminal.
func (q *questions) askProxyLogin(ctx context.Context, secret string) (server.Credentials, error) {
	if q.opts.ManagementQueryPasswords && q.port.Reachable() {
		return q.port.AskUserPass(ctx, secret, nil)
	}
	user, err := q.console(ctx, "Enter "+secret+" Username:", true)
	if err != nil {
		return server.Credentials{}, err
	}
	pass, err := q.console(ctx, "Enter "+secret+" Password:", false)
	return server.Credentials{Username: user, Password: pass}, err
}
