// Package mux holds "mux", which shares out the one seat of a management port.
package mux

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/moongate-vpn/moongate/cmd/internal/cli/env"
	"github.com/moongate-vpn/moongate/cmd/internal/cli/target"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/mux"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// options are the flags.
type options struct {
	upstreams []string
	listen    string
	password  string   // file
	roles     []string // ROLE or ROLE=FILE
	cert, key string
	clientCA  string
	mode      string
	group     string
}

// NewCmd returns the command.
func NewCmd(e *env.Env) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use: "mux --upstream ADDRESS --listen ADDRESS", Short: "Share out the one seat of a management port",
		Long: "Attach to a daemon that serves one management client, stock OpenVPN for instance, and serve any number. Commands go to the\n" +
			"daemon as they are, each client gets what it subscribed to, prompts wait for the first valid answer. A daemon that goes is\n" +
			"dialed again; clients stay and are told (>NOTIFY:info,daemon-lost and daemon-found).\n\n" +
			"The daemon's own password and TLS are --password-file, --ca, --cert and --key. Several daemons are given as NAME=ADDRESS; a client\n" +
			"chooses by the command \"use NAME\", or by an address that ends in #NAME.",
		Example: "  moongate mux --upstream /run/openvpn/office.sock --listen /run/moongate/office.sock\n" +
			"  moongate mux --upstream a=127.0.0.1:7505 --upstream b=/run/b.sock --listen /run/moongate/all.sock\n" +
			"  moongate -a /run/moongate/all.sock#b status",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return env.UntilInterrupted(run(cmd.Context(), e, &o)) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.upstreams, "upstream", nil, "management `ADDRESS` of the daemon; repeated with NAME= in front, of several")
	f.StringVar(&o.listen, "listen", "", "`ADDRESS` to serve at: HOST:PORT, tls://HOST:PORT, unix:/PATH or /PATH")
	f.StringVar(&o.password, "listen-password", "", "`FILE` with the password of clients in its first line")
	f.StringArrayVar(&o.roles, "listen-role", nil, "`ROLE` of clients, or ROLE=FILE for those with the password in FILE; repeat for more")
	f.StringVar(&o.cert, "listen-cert", "", "`FILE` of the certificate for tls:// addresses")
	f.StringVar(&o.key, "listen-key", "", "`FILE` of its key")
	f.StringVar(&o.clientCA, "listen-client-ca", "", "`FILE` of authorities; clients must show a certificate of one")
	f.StringVar(&o.mode, "socket-mode", "", "`MODE` of a unix socket, octal (default 600, with --socket-group 660)")
	f.StringVar(&o.group, "socket-group", "", "`GROUP` of a unix socket")
	return cmd
}

func run(ctx context.Context, e *env.Env, o *options) error {
	if len(o.upstreams) == 0 || o.listen == "" {
		return env.Usagef("mux needs --upstream and --listen")
	}
	cfg, err := o.config(e)
	if err != nil {
		return err
	}
	m, err := mux.New(cfg)
	if err != nil {
		return env.Usagef("--upstream: %v", err)
	}
	access, err := o.access()
	if err != nil {
		return err
	}
	ln, err := o.open(e)
	if err != nil {
		return err
	}
	if err := e.WriteLines(ln.Addr().String()); err != nil {
		return errors.Join(err, ln.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var links sync.WaitGroup
	links.Go(func() { m.Run(ctx) })
	err = m.Serve(ctx, ln, access)
	cancel()
	links.Wait()
	return err
}

// config says what to share out. The log goes to the error stream.
func (o *options) config(e *env.Env) (mux.Config, error) {
	var talk sync.Mutex
	cfg := mux.Config{Log: func(verb int, _, text string) {
		if verb <= 1 {
			talk.Lock()
			defer talk.Unlock()
			fmt.Fprintln(e.Err, env.Clean(text))
		}
	}}
	for _, u := range o.upstreams {
		up := mux.Upstream{Addr: u}
		if name, addr, ok := strings.Cut(u, "="); ok && !strings.ContainsAny(name, "/:") {
			up.Name, up.Addr = name, addr
		}
		if _, err := client.ParseAddr(up.Addr); err != nil {
			return cfg, env.Usagef("--upstream: %v", err)
		}
		var err error
		if up.Options, err = e.ClientOptions(target.Target{Name: up.Addr, Address: up.Addr}); err != nil {
			return cfg, err
		}
		cfg.Upstreams = append(cfg.Upstreams, up)
	}
	return cfg, nil
}

// access works out who may attach, as management and management-role do for a daemon.
func (o *options) access() (server.Access, error) {
	a := server.Access{Role: mgmt.RoleAdmin}
	var more []server.Password
	for _, r := range o.roles {
		name, file, has := strings.Cut(r, "=")
		role, err := mgmt.ParseRole(name)
		if err != nil {
			return a, env.Usagef("--listen-role: %v", err)
		}
		if !has {
			a.Role = role
			continue
		}
		p, err := password("--listen-role", file, role)
		if err != nil {
			return a, err
		}
		more = append(more, p)
	}
	if o.password != "" {
		p, err := password("--listen-password", o.password, a.Role)
		if err != nil {
			return a, err
		}
		a.Passwords = append(a.Passwords, p)
	}
	a.Passwords = append(a.Passwords, more...)
	return a, nil
}

func password(flag, file string, role mgmt.Role) (server.Password, error) {
	text, err := env.FirstLine(file)
	if err == nil && text == "" {
		err = fmt.Errorf("%s holds no password", file)
	}
	if err != nil {
		return server.Password{}, env.Usagef("%s: %v", flag, err)
	}
	return server.Password{Text: text, Role: role}, nil
}

// open listens.
func (o *options) open(e *env.Env) (net.Listener, error) {
	a, err := client.ParseAddr(o.listen)
	if err != nil {
		return nil, env.Usagef("--listen: %v", err)
	}
	if a.TLS != (o.cert != "" && o.key != "") || !a.TLS && o.clientCA != "" {
		return nil, env.Usagef("--listen tls://HOST:PORT, --listen-cert and --listen-key go together")
	}
	if a.Network == "unix" {
		mode, gid, err := o.socket()
		if err != nil {
			return nil, err
		}
		return server.ListenUnixMode(a.Address, mode, gid)
	}
	if o.mode != "" || o.group != "" {
		return nil, env.Usagef("--socket-mode and --socket-group are for unix sockets")
	}
	if o.password == "" && len(o.roles) == 0 && o.clientCA == "" {
		fmt.Fprintln(e.Err, "warning: all who reach "+o.listen+" may do everything; --listen-password FILE asks for a password")
	}
	ln, err := server.ListenTCP(a.Address)
	if err != nil || !a.TLS {
		return ln, err
	}
	cfg, err := o.tls()
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return server.ListenTLS(ln, cfg), nil
}

func (o *options) tls() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, env.Usagef("--listen-cert, --listen-key: %v", err)
	}
	var ca []byte
	if o.clientCA != "" {
		if ca, err = os.ReadFile(o.clientCA); err != nil {
			return nil, env.Usagef("--listen-client-ca: %v", err)
		}
	}
	cfg, err := server.TLSConfig(cert, ca)
	if err != nil {
		return nil, env.Usagef("--listen-client-ca %s: %v", o.clientCA, err)
	}
	return cfg, nil
}

// socket is the mode and the group of a unix socket.
func (o *options) socket() (mode fs.FileMode, gid int, err error) {
	mode, gid = 0o600, -1
	if o.group != "" {
		g, err := user.LookupGroup(o.group)
		if err != nil {
			return 0, 0, env.Usagef("--socket-group: %v", err)
		}
		gid, _ = strconv.Atoi(g.Gid)
		mode = 0o660
	}
	if o.mode != "" {
		n, err := strconv.ParseUint(o.mode, 8, 9)
		if err != nil {
			return 0, 0, env.Usagef("--socket-mode %s: want three octal digits", o.mode)
		}
		mode = fs.FileMode(n)
	}
	return mode, gid, nil
}
