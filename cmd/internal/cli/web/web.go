// Package web holds "web", a page about a daemon for browsers.
package web

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/web"
	"github.com/moongate-vpn/moongate/mgmt"
)

// options are the flags.
type options struct {
	listen       string
	roles        []string
	cert, key    string
	journal, ccd string
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use: "web", Short: "Serve a page about a daemon to browsers",
		Long: "Serve a page with the clients of a daemon, their traffic, what happens, and a button that disconnects. It takes one seat at the\n" +
			"management port, of stock OpenVPN as well. Without --listen-role the address it prints has a password that counts for this run.\n" +
			"Other than loopback addresses need --listen-role ROLE=FILE, --listen-cert and --listen-key.",
		Example: "  moongate web -a office\n  moongate web -a office --journal /var/lib/moongate/journal/office --ccd /etc/openvpn/server/ccd\n" +
			"  moongate web --listen 192.0.2.1:8443 --listen-cert web.crt --listen-key web.key --listen-role observe=look.txt --listen-role admin=act.txt",
		Args: cobra.NoArgs, Annotations: map[string]string{env.OneTarget: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error { return env.UntilInterrupted(run(cmd.Context(), e, &o)) },
	}
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`ADDRESS:PORT` to serve at")
	f.StringArrayVar(&o.roles, "listen-role", nil, "`ROLE` of the printed address, or ROLE=FILE for the password in FILE; repeat for more")
	f.StringVar(&o.cert, "listen-cert", "", "`FILE` of the certificate, for https")
	f.StringVar(&o.key, "listen-key", "", "`FILE` of its key")
	f.StringVar(&o.journal, "journal", "", "`DIR` of the daemon's journal, for its history")
	f.StringVar(&o.ccd, "ccd", "", "`DIR` of the server's client-config-dir, for bans: it gets files that say disable")
	return cmd
}

func run(ctx context.Context, e *env.Env, o *options) error {
	t, err := e.Target()
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return env.Usagef("--listen %s: want ADDRESS:PORT", o.listen)
	}
	cfg := web.Config{Name: t.Name, Dial: e.Dial, Journal: o.journal, CCD: o.ccd}
	secret, err := o.passwords(&cfg)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) && (secret != "" || o.cert == "") {
		return env.Usagef("--listen %s: this is no loopback address, so it takes --listen-role ROLE=FILE, --listen-cert and --listen-key", o.listen)
	}
	scheme := "http"
	if o.cert != "" || o.key != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return env.Usagef("--listen-cert, --listen-key: %v", err)
		}
		cfg.TLS, scheme = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, "https"
	}
	c, err := e.Dial(ctx) // what cannot work is said at once
	if err != nil {
		return err
	}
	_ = c.Close()
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	url := scheme + "://" + ln.Addr().String() + "/"
	if secret != "" {
		url += "#" + secret
	}
	if err := e.WriteLines(url); err != nil {
		return errors.Join(err, ln.Close())
	}
	return web.New(cfg).Serve(ctx, ln)
}

// passwords fills in who may come in. Without a file it makes a password, which the printed address carries.
func (o *options) passwords(cfg *web.Config) (secret string, err error) {
	own := mgmt.RoleAdmin
	for _, r := range o.roles {
		name, file, has := strings.Cut(r, "=")
		role, err := mgmt.ParseRole(name)
		if err != nil {
			return "", env.Usagef("--listen-role: %v", err)
		}
		if !has {
			own = role
			continue
		}
		text, err := env.FirstLine(file)
		if err != nil {
			return "", env.Usagef("--listen-role: %v", err)
		}
		if text == "" {
			return "", env.Usagef("--listen-role: %s has no password in its first line", file)
		}
		cfg.Passwords = append(cfg.Passwords, web.Password{Text: text, Role: role})
	}
	if len(cfg.Passwords) == 0 {
		secret = rand.Text()
		cfg.Passwords = []web.Password{{Text: secret, Role: own}}
	}
	return secret, nil
}
