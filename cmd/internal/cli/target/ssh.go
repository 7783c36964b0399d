package target

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// SSH is a socket or port of another machine, reached by the system's ssh with the user's own configuration, keys and agent.
type SSH struct {
	Destination string // [USER@]HOST
	Port        string // "" for ssh's own default
	Remote      string // socket path, or HOST:PORT there
	Use         string // which daemon of a mux, "" for its only one
}

// IsSSH reports whether an address is for ParseSSH.
func IsSSH(address string) bool { return strings.HasPrefix(address, "ssh://") }

// ParseSSH reads ssh://[USER@]HOST[:PORT]/PATH of a socket, or ssh://[USER@]HOST[:PORT]/:PORT of a port of that machine's loopback. Each may end in
// #NAME, as other addresses may.
func ParseSSH(address string) (SSH, error) {
	bad := fmt.Errorf("address %q: want ssh://[USER@]HOST[:PORT]/PATH.sock or ssh://HOST/:PORT", address)
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || len(u.Path) < 2 {
		return SSH{}, bad
	}
	s := SSH{Destination: u.Hostname(), Port: u.Port(), Remote: u.Path, Use: u.Fragment}
	if strings.HasPrefix(s.Destination, "-") { // ssh would read it as an option
		return SSH{}, bad
	}
	if u.User != nil {
		if _, has := u.User.Password(); has || strings.HasPrefix(u.User.Username(), "-") {
			return SSH{}, bad
		}
		s.Destination = u.User.Username() + "@" + s.Destination
	}
	if port, ok := strings.CutPrefix(u.Path, "/:"); ok {
		s.Remote = "127.0.0.1:" + port
	}
	return s, nil
}

// Dial starts ssh with a forwarded socket and connects to it. ssh asks for what it needs on the terminal; with batch it asks
// nothing. Closing the connection ends ssh.
func (s SSH) Dial(ctx context.Context, timeout time.Duration, batch bool) (net.Conn, error) {
	dir, err := os.MkdirTemp("", "moongate-ssh-") // mode 0700: nobody else connects
	if err != nil {
		return nil, err
	}
	local := filepath.Join(dir, "s")
	args := []string{"-N", "-T", "-o", "ExitOnForwardFailure=yes", "-o", "ClearAllForwardings=no", "-L", local + ":" + s.Remote}
	if batch {
		args = append(args, "-o", "BatchMode=yes", "-o", fmt.Sprintf("ConnectTimeout=%d", max(1, int(timeout.Seconds()))))
	}
	if s.Port != "" {
		args = append(args, "-p", s.Port)
	}
	cmd := exec.Command("ssh", append(args, "--", s.Destination)...)
	var says tail
	cmd.Stderr = &says
	if err := cmd.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	c := &sshConn{cmd: cmd, dir: dir, ended: make(chan struct{})}
	go func() { // ends with ssh, which Close ends
		_ = cmd.Wait()
		close(c.ended)
	}()
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	if !batch {
		limit.Reset(2 * time.Minute) // a person may be typing a passphrase
	}
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			c.end()
			return nil, ctx.Err()
		case <-c.ended:
			c.end()
			return nil, fmt.Errorf("ssh: %s", strings.TrimPrefix(says.last(), "ssh: "))
		case <-limit.C:
			c.end()
			return nil, errors.New("ssh: no connection in time")
		case <-tick.C:
		}
		if c.Conn, err = net.Dial("unix", local); err == nil {
			tick.Stop()
			return c, nil
		}
	}
}

// sshConn is a connection through a running ssh.
type sshConn struct {
	net.Conn
	cmd   *exec.Cmd
	dir   string
	ended chan struct{}
	once  sync.Once
}

func (c *sshConn) Close() error {
	err := c.Conn.Close()
	c.end()
	return err
}

// end ends ssh, waits for it and removes its socket.
func (c *sshConn) end() {
	c.once.Do(func() {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-c.ended:
		case <-time.After(2 * time.Second):
			_ = c.cmd.Process.Kill()
			<-c.ended
		}
		os.RemoveAll(c.dir)
	})
}

// tail keeps the last line written to it.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if len(t.b) > 4096 {
		t.b = t.b[len(t.b)-4096:]
	}
	return len(p), nil
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.b)), "\n")
	if s := strings.TrimSpace(lines[len(lines)-1]); s != "" {
		return s
	}
	return "it ended without a word"
}
