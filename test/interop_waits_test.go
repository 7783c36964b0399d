//go:build linux

package test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/mgmt/client"
)

// wait is what a daemon of ours waits for. HANG in its arguments is a script that hangs, LOST a name that no resolver answers about.
type wait struct {
	name   string
	server bool     // else it is a client's
	args   []string // in addition to those of the lab
	alone  bool     // args are all arguments, but for certificates
	peer   []string // of the stock daemon at the other end, nil without one
	state  string   // by which the wait has begun; empty: by the script
	line   string   // likewise
	down   bool     // the wait comes on the way down
}

// soon is far less than the deadlines of waits, and much more than an end takes.
const soon = 9 * time.Second

// Whatever a daemon waits for, its port answers meanwhile, and it restarts or ends at once when it is told to.
func TestEveryWaitEnds(t *testing.T) {
	t.Parallel()
	path := program(t)
	peer := []string{"--cd", "/"}
	push := []string{"--push", "dns server 1 address 192.0.2.53", "--push", "route 10.9.0.0 255.255.0.0"}
	scripts := []string{"--script-security", "2"}
	for _, w := range []wait{
		{name: "name of the server", args: []string{"--remote", "LOST", "1194"}, state: "RESOLVE"},
		{name: "names in advance", args: []string{"--remote", "LOST", "1194", "--preresolve"}, line: "library versions"},
		{name: "connection", args: []string{"--remote", "10.99.0.9", "1194", "--proto", "tcp"}, state: "TCP_CONNECT"},
		{name: "answer of a server", args: []string{"--remote", "10.99.0.9", "1194"}, state: "WAIT"},
		{name: "HTTP proxy", args: []string{"--remote", "10.99.0.1", "1194", "--proto", "tcp", "--http-proxy", "10.99.0.1", "8080"}, line: "Send to HTTP proxy"},
		{name: "SOCKS proxy", args: []string{"--remote", "10.99.0.1", "1194", "--proto", "tcp", "--socks-proxy", "10.99.0.1", "8080"}, line: "TCP connection established"},
		{name: "SOCKS proxy of datagrams", args: []string{"--remote", "10.99.0.1", "1194", "--socks-proxy", "10.99.0.1", "8080"}, line: "TCP connection established"},
		{name: "name of a proxy", args: []string{"--remote", "10.99.0.1", "1194", "--proto", "tcp", "--http-proxy", "LOST", "8080"}, state: "RESOLVE"},
		{name: "password store", args: []string{"--auth-user-pass", "pass:vpn"}},
		{
			name: "caller", alone: true, line: "Listening for incoming TCP connection",
			args: []string{"--dev", "tun", "--ifconfig", "10.9.0.1", "10.9.0.2", "--tls-server", "--dh", "none", "--proto", "tcp-server", "--port", "1195"},
		},
		{
			name: "up of a peer", alone: true,
			args: slices.Concat(scripts, []string{"--dev", "tun", "--ifconfig", "10.9.0.1", "10.9.0.2", "--tls-client", "--remote", "10.99.0.1", "--up", "HANG"}),
		},
		{name: "up", peer: peer, args: append(scripts, "--up", "HANG")},
		{name: "route-up", peer: peer, args: append(scripts, "--route-up", "HANG")},
		{name: "dns-updown", peer: push, args: append(scripts, "--dns-updown", "HANG")},
		{name: "resolvconf", peer: push, args: []string{"--compat", "2.7"}},
		{name: "name in a route", peer: peer, args: []string{"--route", "LOST"}, line: "ROUTE_GATEWAY"},
		{name: "route-delay", peer: peer, args: []string{"--route-delay", "300"}, state: "ASSIGN_IP"},
		{name: "ipchange", peer: peer, args: append(scripts, "--ipchange", "HANG")},
		{name: "tls-verify", peer: peer, args: append(scripts, "--tls-verify", "HANG")},
		{name: "down", down: true, peer: peer, args: append(scripts, "--down", "HANG")},
		{name: "route-pre-down", down: true, peer: push, args: append(scripts, "--route-pre-down", "HANG")},
		{name: "dns-updown on the way down", down: true, peer: push, args: append(scripts, "--dns-updown", "HANG")},

		{name: "server's up", server: true, args: append(scripts, "--up", "HANG")},
		{name: "server's route-up", server: true, args: append(scripts, "--route-up", "HANG")},
		{name: "server's own name", server: true, args: []string{"--local", "LOST"}, line: "opened"},
		{name: "name in a server's route", server: true, args: []string{"--route", "LOST"}, line: "library versions"},
		{name: "server's down", server: true, down: true, args: append(scripts, "--down", "HANG")},
		{name: "auth-user-pass-verify", server: true, peer: []string{"--auth-user-pass", "login"}, args: append(scripts, "--auth-user-pass-verify", "HANG", "via-file")},
		{name: "client-connect", server: true, peer: peer, args: append(scripts, "--client-connect", "HANG")},
		{name: "learn-address", server: true, peer: peer, args: append(scripts, "--learn-address", "HANG")},
		{name: "client's tls-verify", server: true, peer: peer, args: append(scripts, "--tls-verify", "HANG")},
		{name: "client-disconnect", server: true, down: true, peer: peer, args: append(scripts, "--client-disconnect", "HANG")},
	} {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			w.end(t, path)
		})
	}
}

// end plays a wait, restarts the daemon in it unless that takes a peer along, and ends it.
func (w *wait) end(t *testing.T, path string) {
	l := newLab(t)
	at, other := l.client, l.server
	if w.server {
		at, other = l.server, l.client
	}
	// Nothing answers at this address, not even that it is not there.
	at.Run(t, "ip", "neigh", "add", "10.99.0.9", "lladdr", "02:00:00:00:00:09", "dev", "eth0")
	l.server.Do(t, func() error {
		ln, err := net.Listen("tcp", "10.99.0.1:8080") // a proxy that says nothing
		t.Cleanup(func() { ln.Close() })
		return err
	})
	l.login(t, "user", "pass")
	mark, sock := l.file("mark"), l.file("port.sock")
	// The script hangs on the way down or up, as the case wants it.
	hang := l.script(t, "hang.sh", `case "$script_type $1" in *down\ *|*-d|*disconnect\ *) down=true;; *) down=false;; esac
[ $down = `+strconv.FormatBool(w.down)+` ] || exit 0
: >`+mark+`; exec sleep 600`)
	for _, name := range []string{"pass", "resolvconf"} {
		if err := os.Symlink(hang, l.file(name)); err != nil {
			t.Fatal(err)
		}
	}
	run := l.script(t, "run.sh", `mount --bind `+l.write(t, "resolv.conf", []byte("nameserver 10.99.0.9\n"))+` /etc/resolv.conf && PATH=`+l.dir+`:$PATH exec "$@"`)

	args := slices.Clone(w.args)
	for i := range args {
		args[i] = map[string]string{"HANG": hang, "LOST": "vpn.example"}[args[i]]
		if args[i] == "" {
			args[i] = w.args[i]
		}
	}
	switch {
	case w.alone:
		args = append(args, "--verb", "3", "--ca", l.file("ca.crt"), "--cert", l.file("client.crt"), "--key", l.file("client.key"))
	case w.server:
		args = l.serverArgs(args...)
	default:
		args = l.clientArgs(append(args, "--connect-retry", "1", "1")...)
	}
	args = append([]string{"-m", run, path, "--management", sock, "unix", "--cd", l.dir}, args...)
	if w.peer != nil && !w.server {
		l.stockServer(t, w.peer...)
	}
	p := at.Start(t, "unshare", args...)
	port := manage(t, sock)
	var c *daemontest.Process
	if w.peer != nil && w.server {
		c = stock(t, other, l.clientArgs(append(w.peer, "--cd", l.dir)...))
	}
	if w.down {
		p.WaitLine(t, up, upLimit)
		if c != nil {
			c.WaitLine(t, up, upLimit)
		}
		do(t, port, "signal", "SIGTERM")
	}
	w.begun(t, p, port, mark, 0)
	if w.down {
		p.Signal(t, syscall.SIGTERM)
		p.Wait(t, soon)
		return
	}
	if !w.server || w.peer == nil {
		from := p.Lines()
		p.Signal(t, syscall.SIGUSR1)
		p.WaitLineAfter(t, from, "received, process restarting", soon)
		w.begun(t, p, port, mark, from)
	}
	do(t, port, "signal", "SIGTERM")
	if code := p.Wait(t, soon); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// begun waits until the daemon waits, and has its port answer.
func (w *wait) begun(t *testing.T, p *daemontest.Process, port *client.Client, mark string, from int) {
	t.Helper()
	switch {
	case w.state != "":
		await(t, "state "+w.state, upLimit, func() bool {
			list := states(t, port)
			return len(list) > 0 && strings.HasPrefix(list[len(list)-1], w.state)
		})
	case w.line != "":
		p.WaitLineAfter(t, from, w.line, upLimit)
	default:
		await(t, "the script runs", upLimit, func() bool { return fileExists(mark) })
		_ = os.Remove(mark)
	}
	asked := time.Now()
	do(t, port, "state", "all")
	if took := time.Since(asked); took > soon {
		t.Errorf("the port answered after %v", took)
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(filepath.Clean(path))
	return err == nil
}
