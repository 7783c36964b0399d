//go:build unix

package script

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/moongate-vpn/moongate/mgmt/client"
	"github.com/moongate-vpn/moongate/mgmt/peercred"
)

// backlog is how many connections wait to be accepted.
const backlog = 128

// address is one that will be listened on. A TCP port is bound, so that an address in use is found out at once, and shared with the version of
// the script that still listens there. A unix socket is made under another name, and takes its place when it listens.
type address struct {
	name string
	fd   int // of the bound socket, -1 when it is taken over
	path string
	made os.FileInfo // of the socket at path
}

// reserve binds an address; shared tells that another version of the script has it too.
func reserve(network, text string, shared bool) (*address, error) {
	if network == "tcp" && !shared {
		if err := isFree(text); err != nil {
			return nil, err
		}
	}
	a := &address{name: text, fd: -1}
	var family int
	var sa unix.Sockaddr
	if network == "unix" {
		if err := mayTake(text); err != nil {
			return nil, err
		}
		a.path = text
		family, sa = unix.AF_UNIX, &unix.SockaddrUnix{Name: a.temporary()}
		_ = os.Remove(a.temporary()) // of a process that had our number
	} else {
		ap := netip.MustParseAddrPort(text)
		if ap.Addr().Is4() {
			family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
		} else {
			family, sa = unix.AF_INET6, &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
		}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	a.fd = fd
	unix.CloseOnExec(fd)
	if network == "tcp" {
		err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	}
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		a.leave()
		return nil, err
	}
	if network == "tcp" {
		switch at, err := unix.Getsockname(fd); at := at.(type) {
		case *unix.SockaddrInet4:
			a.name = netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)).String() //nolint:gosec // a port
		case *unix.SockaddrInet6:
			a.name = netip.AddrPortFrom(netip.AddrFrom16(at.Addr), uint16(at.Port)).String() //nolint:gosec // a port
		default:
			a.leave()
			return nil, err
		}
	}
	return a, nil
}

// isFree returns an error when another program has an address, even one that would share it.
func isFree(text string) error {
	ln, err := net.Listen("tcp", text)
	if err != nil {
		return client.Ending(err)
	}
	return ln.Close()
}

func (a *address) temporary() string { return a.path + "." + strconv.Itoa(os.Getpid()) }

// listen makes the listener, which the caller closes.
func (a *address) listen() (net.Listener, error) {
	if err := unix.Listen(a.fd, backlog); err != nil {
		return nil, err
	}
	if a.path != "" {
		var err error
		if a.made, err = os.Lstat(a.temporary()); err == nil {
			err = os.Rename(a.temporary(), a.path)
		}
		if err != nil {
			return nil, err
		}
	}
	f := os.NewFile(uintptr(a.fd), a.name) //nolint:gosec // a descriptor
	a.fd = -1
	defer f.Close()
	return net.FileListener(f)
}

// leave gives the address up, after its listener was closed if there was one. The path of a socket that is another's by now stays.
func (a *address) leave() {
	if a.fd >= 0 {
		_ = unix.Close(a.fd)
		a.fd = -1
		if a.path != "" {
			_ = os.Remove(a.temporary())
		}
	}
	if a.made == nil {
		return
	}
	if now, err := os.Lstat(a.path); err == nil && os.SameFile(a.made, now) {
		_ = os.Remove(a.path)
	}
}

// mayTake reports why a unix socket cannot be put at path: something else is there. A socket that nobody listens on, or a script of ours, is replaced.
func mayTake(path string) error {
	st, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.Mode().Type() != os.ModeSocket:
		return errors.New("there is a file of that name, which is no socket")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	if peer, err := peercred.Of(conn); err != nil || peer.PID != os.Getpid() && !isSibling(peer.PID) {
		return errors.New("another program listens there")
	}
	return nil
}

// isSibling reports whether a process is a script's process of the daemon that this one belongs to: another version of this script.
func isSibling(pid int) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.HasPrefix(string(line), "moongate\x00lua-host") {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // STATE PPID …
	fields := strings.Fields(rest)
	return len(fields) > 1 && fields[1] == strconv.Itoa(os.Getppid())
}
