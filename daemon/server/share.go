package server

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/moongate-vpn/moongate/daemon/transport"
	"github.com/moongate-vpn/moongate/daemon/wire"
	"github.com/moongate-vpn/moongate/mgmt"
)

// share hands TCP connections of other protocols to another server (port-share).
type share struct {
	target string // host:port
	dir    string // for files that tell where a connection came from, "" for none
	log    func(verb int, flag, format string, args ...any)
}

// newShare is nil without port-share.
func newShare(set *setup, log func(verb int, flag, format string, args ...any)) *share {
	if set.PortShare.Host == "" {
		return nil
	}
	return &share{net.JoinHostPort(set.PortShare.Host, set.PortShare.Port), set.PortShare.Dir, log}
}

const (
	// shareLook is how many bytes tell the protocol: length and first byte of the first frame.
	shareLook = 3
	// maxFirstFrame bounds the first frame of a client: a hard reset, at most with a wrapped key behind it.
	maxFirstFrame = 4096
	// shareDialTime bounds the connection to the other server.
	shareDialTime = 10 * time.Second
	// shareLinger is how long one direction may go on after the other has ended.
	shareLinger = 5 * time.Minute
)

// speaksOpenVPN reports whether the first bytes of a connection can be those of a client: a hard reset with key id 0, of
// a possible length.
func speaksOpenVPN(head []byte) bool {
	n := int(head[0])<<8 | int(head[1])
	op, keyID, err := wire.ParseHeader(head[2:])
	return err == nil && keyID == 0 && n >= minReset && n <= maxFirstFrame &&
		(op == wire.OpControlHardResetClientV2 || op == wire.OpControlHardResetClientV3)
}

// redirected looks at the first bytes of a connection. When they are of another protocol it serves the connection until
// its end, or that of ctx, and returns true; the link is used up then.
func (s *share) redirected(ctx context.Context, l transport.Link) bool {
	t, ok := l.(*transport.TCPLink)
	if !ok {
		return false
	}
	head, err := t.Peek(shareLook)
	if err != nil || speaksOpenVPN(head) {
		return false // what is wrong with it comes up again with the first packet
	}
	from := l.RemoteAddr()
	s.log(1, "", "%s Non-OpenVPN client protocol detected", realAddress(from))
	s.log(3, "", "%s SIGTERM[soft,%s] received, client-instance exiting", realAddress(from), mgmt.ReasonPortShare)
	conn, head := t.Detach()
	defer conn.Close()
	d := net.Dialer{Timeout: shareDialTime}
	c, err := d.DialContext(ctx, "tcp", s.target)
	if err != nil {
		s.log(1, "N", "PORT SHARE PROXY: connect to port-share server failed: %v", err)
		return true
	}
	out := c.(*net.TCPConn)
	defer out.Close()
	defer s.note(transport.AddrText(out.LocalAddr().(*net.TCPAddr).AddrPort()), transport.AddrText(from))()
	_ = conn.SetDeadline(time.Time{})
	if _, err := out.Write(head); err != nil {
		return true
	}
	stop := context.AfterFunc(ctx, func() {
		conn.Close()
		out.Close()
	})
	defer stop()
	var both sync.WaitGroup
	in := conn.(*net.TCPConn)
	both.Go(func() { pipe(out, in) })
	both.Go(func() { pipe(in, out) })
	both.Wait()
	return true
}

// pipe copies until one side ends, and passes the end on.
func pipe(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		_ = from.CloseRead()
	}
	_ = to.CloseWrite()
	_ = to.SetReadDeadline(time.Now().Add(shareLinger))
}

// note makes the file that tells the other server, by the address it sees, where a connection came from. The result
// removes it.
//
// Rule: docs/protocol.md#88-port-share: the name is the proxy's address, the content the client's.
func (s *share) note(seen, origin string) (remove func()) {
	if s.dir == "" {
		return func() {}
	}
	path := filepath.Join(s.dir, seen)
	if err := os.WriteFile(path, []byte(origin), 0o600); err != nil {
		s.log(1, "W", "PORT SHARE PROXY: %v", err)
		return func() {}
	}
	return func() { _ = os.Remove(path) }
}
