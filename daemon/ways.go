package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/moongate-vpn/moongate/daemon/config"
	"github.com/moongate-vpn/moongate/daemon/engine"
	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/server"
)

// connectTimeout bounds the call of management-client.
const connectTimeout = 5 * time.Second

// ways opens the management port to its clients: by listeners, by a call of ours, by listeners that follow the tunnel.
type ways struct {
	port     *server.Server
	lg       *logging.Logger
	sig      *engine.Signals
	terminal terminal
	owned    bool // unix sockets are for the owner's user alone
	wg       *sync.WaitGroup
	ctx      context.Context // of everything in wg

	tunnel struct { // the port inside the tunnel, used by the engine's goroutine
		listeners []tunnelListener
		addr      netip.Addr // where they listen, invalid while they do not
		down      func()     // closes them, nil without any
	}
}

// open opens the ways that the options name. It returns false when a program that was to be called does not answer, which ends the
// daemon without an error.
func (w *ways) open(o *config.Options) (bool, error) {
	if !w.port.Reachable() {
		return true, nil
	}
	for _, addr := range o.ManagementListen {
		access, err := w.access(o, addr)
		if err != nil {
			return false, err
		}
		if addr.Host == "tunnel" {
			w.tunnel.listeners = append(w.tunnel.listeners, tunnelListener{addr, access})
			continue
		}
		if o.ManagementClient {
			if !w.call(addr, access) {
				return false, nil
			}
			continue
		}
		if err := w.listen(w.ctx, addr, access); err != nil {
			return false, err
		}
	}
	if !onlyTunnel(o) {
		w.port.State(mgmt.State{Name: mgmt.StateConnecting})
	}
	for _, e := range o.Echo {
		w.port.Echo(e)
	}
	return true, nil
}

// listen opens one listener and serves it until the end.
func (w *ways) listen(ctx context.Context, addr config.ManagementAddr, access server.Access) error {
	var ln net.Listener
	var err error
	if addr.Unix != "" {
		mode := fs.FileMode(0o777)
		if w.owned {
			mode = 0o600
		}
		if ln, err = server.ListenUnixMode(addr.Unix, mode, -1); err == nil {
			w.lg.Msg(logging.Steps, "MANAGEMENT: unix domain socket listening on %s", addr.Unix)
		}
	} else if ln, err = server.ListenTCP(net.JoinHostPort(addr.Host, addr.Port)); err == nil {
		w.lg.Msg(logging.Steps, "MANAGEMENT: TCP Socket listening on %s", transport.AddrText(addrPort(ln.Addr())))
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
	w.wg.Go(func() {
		if err := w.port.Serve(ctx, ln, access); err != nil {
			w.lg.Msg(logging.Warn, "MANAGEMENT: listener ended: %v", err)
		}
	})
	return nil
}

// tunnelListener is a port that is open while the tunnel is up (management tunnel).
type tunnelListener struct {
	addr   config.ManagementAddr
	access server.Access
}

// follow listens on the tunnel's own address while the tunnel is up; the zero address ends it, with the sessions it
// brought. A tunnel that is kept over a restart keeps it. Stock picks a port of its own; ours is the configured one.
func (w *ways) follow(own netip.Addr) {
	if own == w.tunnel.addr {
		return
	}
	w.tunnel.addr = own
	if w.tunnel.down != nil {
		w.tunnel.down()
		w.tunnel.down = nil
	}
	if !own.IsValid() {
		return
	}
	ctx, cancel := context.WithCancel(w.ctx)
	w.tunnel.down = cancel
	for _, l := range w.tunnel.listeners {
		l.addr.Host = own.String()
		if err := w.listen(ctx, l.addr, l.access); err != nil {
			w.lg.Msg(logging.Error, "%v", err)
		}
	}
}

// call connects to a program that waits for us (management-client). Its end is ours.
func (w *ways) call(addr config.ManagementAddr, access server.Access) bool {
	network, target := "tcp", net.JoinHostPort(addr.Host, addr.Port)
	if addr.Unix != "" {
		network, target = "unix", addr.Unix
	}
	d := net.Dialer{Timeout: connectTimeout}
	conn, err := d.DialContext(w.ctx, network, target)
	if err != nil {
		name := addrName(addr)
		if addr.Unix != "" {
			name = "unix socket " + name
		}
		w.lg.Msg(logging.Error, "MANAGEMENT: connect to %s failed: %v", name, systemError(err))
		return false
	}
	w.lg.Msg(logging.Steps, "MANAGEMENT: Connected to management server at %s", addrName(addr))
	access.Dialed = true
	w.wg.Go(func() {
		_ = w.port.ServeConn(w.ctx, conn, access) // however it ended, it is over
		if w.ctx.Err() == nil {
			w.lg.Msg(logging.Steps, "MANAGEMENT: Triggering management exit")
			w.sig.Raise(engine.Stop{Signal: engine.TERM, Source: engine.Soft, Reason: mgmt.ReasonManagementExit})
		}
	})
	return true
}

// access works out who may use a listener.
func (w *ways) access(o *config.Options, addr config.ManagementAddr) (server.Access, error) {
	a := server.Access{Role: addr.Role}
	if a.Role == 0 {
		a.Role = mgmt.RoleAdmin
	}
	var err error
	if a.Passwords, err = w.passwords(addr, a.Role); err != nil {
		return a, err
	}
	if addr.Unix == "" || o.ManagementClientUser == "" && o.ManagementClientGroup == "" {
		return a, nil
	}
	uid, gid := -1, -1
	if name := o.ManagementClientUser; name != "" {
		u, err := user.Lookup(name)
		if err != nil {
			return a, fmt.Errorf("failed to find UID for user %s", name)
		}
		uid, _ = strconv.Atoi(u.Uid)
	}
	if name := o.ManagementClientGroup; name != "" {
		g, err := user.LookupGroup(name)
		if err != nil {
			return a, fmt.Errorf("failed to find GID for group %s", name)
		}
		gid, _ = strconv.Atoi(g.Gid)
	}
	a.Check = server.PeerCredentials(uid, gid)
	return a, nil
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
