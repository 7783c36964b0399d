package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// portSignal is logged when a signal, wherever it came from, or a program that does not answer ends the daemon before
// anything began.
const portSignal = "Signal received from management interface, exiting"

// connectTimeout bounds the call of management-client.
const connectTimeout = 5 * time.Second

// makePort makes the management port, unreachable unless the options or a script want one. No client can attach yet, but what is
// logged from now on is in its history.
func (p *process) makePort(ctx context.Context) {
	o := p.opts
	if len(o.ManagementListen) == 0 && len(scripts(o)) == 0 {
		p.port = server.New(server.Config{Unreachable: true})
		return
	}
	p.port = server.New(server.Config{
		Controller: p, Title: Title(), LogCache: o.ManagementLogCache, Hold: o.ManagementHold && !onlyTunnel(o),
		ForgetDisconnect: o.ManagementForgetDisconnect, SignalDisconnect: o.ManagementSignal, Starting: true,
		Log: func(verb int, flag, text string) { p.lg.Msg(logging.At(verb).Class(flag), "%s", text) }, Acted: p.acted,
	})
	cancel := p.lg.Subscribe(func(e logging.Entry) {
		p.port.Log(mgmt.LogEntry{Time: e.Time, Flags: e.Flags, Text: e.Text})
	})
	context.AfterFunc(ctx, cancel)
}

// openPort lets clients at the management port. It returns false when a program that was to be called does not answer, which
// ends the daemon without an error.
func (p *process) openPort(ctx context.Context) (bool, error) {
	if !p.port.Reachable() {
		return true, nil
	}
	o := p.opts
	for _, addr := range o.ManagementListen {
		access, err := p.access(ctx, addr)
		if err != nil {
			return false, err
		}
		if addr.Host == "tunnel" {
			p.tunnelListeners = append(p.tunnelListeners, tunnelListener{addr, access})
			continue
		}
		if o.ManagementClient {
			if !p.callManager(ctx, addr, access) {
				return false, nil
			}
			continue
		}
		if err := p.listen(ctx, addr, access); err != nil {
			return false, err
		}
	}
	if !onlyTunnel(o) {
		p.port.State(mgmt.State{Name: mgmt.StateConnecting})
	}
	for _, e := range o.Echo {
		p.port.Echo(e)
	}
	return true, nil
}

// listen opens one listener and serves it until the end.
func (p *process) listen(ctx context.Context, addr config.ManagementAddr, access server.Access) error {
	var ln net.Listener
	var err error
	if addr.Unix != "" {
		if ln, err = server.ListenUnix(addr.Unix); err == nil {
			p.lg.Msg(logging.Steps, "MANAGEMENT: unix domain socket listening on %s", addr.Unix)
		}
	} else if ln, err = server.ListenTCP(net.JoinHostPort(addr.Host, addr.Port)); err == nil {
		p.lg.Msg(logging.Steps, "MANAGEMENT: TCP Socket listening on %s", transport.AddrText(addrPort(ln.Addr())))
	}
	if err != nil {
		if addr.Unix != "" {
			return fmt.Errorf("MANAGEMENT: Socket bind[3] failed on unix domain socket %s: %w", addr.Unix, systemError(err))
		}
		return fmt.Errorf("MANAGEMENT: Socket bind failed on local address %s: %w", addrName(addr), systemError(err))
	}
	if addr.Cert.Set() {
		cfg, err := protection(addr)
		if err != nil {
			return errors.Join(err, ln.Close())
		}
		ln = server.ListenTLS(ln, cfg)
	}
	p.wg.Go(func() {
		if err := p.port.Serve(ctx, ln, access); err != nil {
			p.lg.Msg(logging.Warn, "MANAGEMENT: listener ended: %v", err)
		}
	})
	return nil
}

// tunnelListener is a port that is open while the tunnel is up (management tunnel).
type tunnelListener struct {
	addr   config.ManagementAddr
	access server.Access
}

// tunnelPort listens on the tunnel's own address while the tunnel is up; the zero address ends it, with the sessions it
// brought. A tunnel that is kept over a restart keeps it. Stock picks a port of its own; ours is the configured one.
func (p *process) tunnelPort(own netip.Addr) {
	if own == p.tunnelAddr {
		return
	}
	p.tunnelAddr = own
	if p.tunnelDown != nil {
		p.tunnelDown()
		p.tunnelDown = nil
	}
	if !own.IsValid() {
		return
	}
	ctx, cancel := context.WithCancel(p.ctx)
	p.tunnelDown = cancel
	for _, l := range p.tunnelListeners {
		l.addr.Host = own.String()
		if err := p.listen(ctx, l.addr, l.access); err != nil {
			p.lg.Msg(logging.Error, "%v", err)
		}
	}
}

// serverPort is the management port of a server. The port inside the tunnel follows the states: the device comes up before
// CONNECTED and is gone before the next state.
type serverPort struct {
	*server.Server
	p *process
}

// State implements the engine's port.
func (s serverPort) State(e mgmt.State) {
	if e.Name == mgmt.StateConnected {
		s.p.tunnelPort(e.TunIPv4)
	} else if e.Name == mgmt.StateReconnecting || e.Name == mgmt.StateExiting {
		s.p.tunnelPort(netip.Addr{})
	}
	s.Server.State(e)
}

// callManager connects to a program that waits for us (management-client). Its end is ours.
func (p *process) callManager(ctx context.Context, addr config.ManagementAddr, access server.Access) bool {
	network, target := "tcp", net.JoinHostPort(addr.Host, addr.Port)
	if addr.Unix != "" {
		network, target = "unix", addr.Unix
	}
	d := net.Dialer{Timeout: connectTimeout}
	conn, err := d.DialContext(ctx, network, target)
	if err != nil {
		name := addrName(addr)
		if addr.Unix != "" {
			name = "unix socket " + name
		}
		p.lg.Msg(logging.Error, "MANAGEMENT: connect to %s failed: %v", name, systemError(err))
		return false
	}
	p.lg.Msg(logging.Steps, "MANAGEMENT: Connected to management server at %s", addrName(addr))
	access.Dialed = true
	p.wg.Go(func() {
		_ = p.port.ServeConn(ctx, conn, access) // however it ended, it is over
		if ctx.Err() == nil {
			p.lg.Msg(logging.Steps, "MANAGEMENT: Triggering management exit")
			p.sig.Raise(engine.Stop{Signal: engine.TERM, Source: engine.Soft, Reason: mgmt.ReasonManagementExit})
		}
	})
	return true
}

// access works out who may use a listener.
func (p *process) access(ctx context.Context, addr config.ManagementAddr) (server.Access, error) {
	a := server.Access{Role: addr.Role}
	if a.Role == 0 {
		a.Role = mgmt.RoleAdmin
	}
	var err error
	if a.Passwords, err = p.passwords(ctx, addr, a.Role); err != nil {
		return a, err
	}
	if addr.Unix == "" || p.opts.ManagementClientUser == "" && p.opts.ManagementClientGroup == "" {
		return a, nil
	}
	uid, gid := -1, -1
	if name := p.opts.ManagementClientUser; name != "" {
		u, err := user.Lookup(name)
		if err != nil {
			return a, fmt.Errorf("failed to find UID for user %s", name)
		}
		uid, _ = strconv.Atoi(u.Uid)
	}
	if name := p.opts.ManagementClientGroup; name != "" {
		g, err := user.LookupGroup(name)
		if err != nil {
			return a, fmt.Errorf("failed to find GID for group %s", name)
		}
		gid, _ = strconv.Atoi(g.Gid)
	}
	a.Check = server.PeerCredentials(uid, gid)
	return a, nil
}

// onlyTunnel reports whether the management port is there while the tunnel is, and never else: no hold can be released
// through it, and stock does not hold either.
func onlyTunnel(o *config.Options) bool {
	return len(o.LuaScripts) == 0 && len(o.ManagementListen) > 0 && !slices.ContainsFunc(o.ManagementListen, func(a config.ManagementAddr) bool {
		return a.Host != "tunnel"
	})
}

// systemError is the error of a system call in stock's words, without the operation: "Address already in use (errno=98)".
func systemError(err error) error {
	var no syscall.Errno
	if !errors.As(err, &no) {
		return err
	}
	text := no.Error()
	return fmt.Errorf("%s%s (errno=%d)", strings.ToUpper(text[:1]), text[1:], int(no))
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

func addrName(a config.ManagementAddr) string {
	if a.Unix != "" {
		return a.Unix
	}
	if ip, err := netip.ParseAddr(a.Host); err == nil {
		if port, err := strconv.ParseUint(a.Port, 10, 16); err == nil {
			return transport.AddrText(netip.AddrPortFrom(ip, uint16(port)))
		}
	}
	return net.JoinHostPort(a.Host, a.Port)
}
