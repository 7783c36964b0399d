//go:build linux

package test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/daemontest"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// puppet is a client without device or manners: it says what a test wants it to say, and many fit into one process.
type puppet struct {
	conn       *net.UDPConn
	session    *control.Session
	cert       tls.Certificate // for the next handshake
	user, pass string
	deaf       bool // takes nothing in, and so acknowledges nothing
	mute       bool // sends nothing more
	texts      []string
	failed     error
	event      func(control.Event) // hears of every event, may be nil
}

// openUDP opens a socket in a namespace, from an address or any.
func openUDP(t *testing.T, n *daemontest.Namespace, local, server string) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	n.Do(t, func() (err error) {
		conn, err = dialFrom(local, server)
		return err
	})
	t.Cleanup(func() { conn.Close() })
	return conn
}

func dialFrom(local, server string) (*net.UDPConn, error) {
	to, err := net.ResolveUDPAddr("udp4", server)
	if err != nil {
		return nil, err
	}
	var from *net.UDPAddr
	if local != "" {
		if from, err = net.ResolveUDPAddr("udp4", local); err != nil {
			return nil, err
		}
	}
	return net.DialUDP("udp4", from, to)
}

// newPuppet makes a client with the lab's certificate and no wrapping.
func (l *lab) newPuppet(conn *net.UDPConn, options, peerInfo string) (*puppet, error) {
	cert, err := tls.LoadX509KeyPair(l.file("client.crt"), l.file("client.key"))
	if err != nil {
		return nil, err
	}
	return newPuppet(conn, cert, options, peerInfo)
}

func newPuppet(conn *net.UDPConn, cert tls.Certificate, options, peerInfo string) (*puppet, error) {
	p := &puppet{conn: conn, cert: cert}
	conf := func() *tls.Config {
		cert := p.cert
		return &tls.Config{
			// Not Certificates: those are parsed before they are sent, and some are not fit for that.
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }, InsecureSkipVerify: true,
		}
	}
	s, err := control.New(control.Config{
		Role: keys.Client,
		TLS:  conf(), Renew: conf,
		Wrap:         ctrlwrap.NewPlain(),
		LocalOptions: options, PeerInfo: peerInfo, HandWindow: time.Minute,
	}, time.Now())
	if err != nil {
		return nil, err
	}
	p.session = s
	return p, nil
}

// usual is what a 2.6 client tells about itself.
const usual = "IV_VER=2.6.14\nIV_PLAT=linux\nIV_NCP=2\nIV_CIPHERS=AES-256-GCM\nIV_PROTO=990\n"

// errPuppet is a puppet that did not get where it should.
var errPuppet = errors.New("puppet's time is over")

// play runs the client until done, or for a while.
func (p *puppet) play(limit time.Duration, done func() bool) error {
	end := time.Now().Add(limit)
	buf := make([]byte, 2048)
	for time.Now().Before(end) {
		p.session.Step(time.Now())
		p.drain()
		if done() {
			return nil
		}
		_ = p.conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		n, err := p.conn.Read(buf)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) || strings.Contains(err.Error(), "refused") {
				continue
			}
			return err
		}
		if op, _, err := wire.ParseHeader(buf[:n]); err == nil && op.IsControl() && !p.deaf {
			_ = p.session.Input(buf[:n], time.Now()) // whatever it makes of it
		}
	}
	return fmt.Errorf("%w: texts %q, %w", errPuppet, p.texts, p.failed)
}

func (p *puppet) drain() {
	for _, b := range p.session.Output() {
		if !p.mute {
			_, _ = p.conn.Write(b)
		}
	}
	for {
		e, ok := p.session.Event()
		if !ok {
			return
		}
		if p.event != nil {
			p.event(e)
		}
		switch e := e.(type) {
		case control.NeedCredentials:
			_ = p.session.SetCredentials(p.user, p.pass)
		case control.Active:
			_, _ = p.session.KeyBlock(e.KeyID, true)
		case control.Text:
			p.texts = append(p.texts, e.Text)
		case control.Failed:
			p.failed = e.Err
		}
	}
}

// told reports whether a text message with this beginning came.
func (p *puppet) told(prefix string) bool {
	for _, s := range p.texts {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}
