//go:build linux

package test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/moongate-vpn/moongate/daemon/control"
	"github.com/moongate-vpn/moongate/daemon/ctrlwrap"
	"github.com/moongate-vpn/moongate/daemon/keys"
	"github.com/moongate-vpn/moongate/daemon/tls"
	"github.com/moongate-vpn/moongate/daemon/wire"
)

// puppetServer is a server without device or manners, for one client at a time: it pushes what a test wants, and says of
// itself what a test wants.
type puppetServer struct {
	options, peerInfo string   // of its key message
	texts             []string // answer to the first PUSH_REQUEST
	greeting          []string // sent as soon as the first key is there
}

// start runs the server on the lab's server host until the test ends.
func (p puppetServer) start(t *testing.T, l *lab) {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(l.file("server.crt"), l.file("server.key"))
	if err != nil {
		t.Fatal(err)
	}
	var conn *net.UDPConn
	l.server.Do(t, func() (err error) {
		conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 99, 0, 1), Port: 1194})
		return err
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.serve(conn, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12})
	}()
	t.Cleanup(func() { conn.Close(); <-done })
}

func (p puppetServer) serve(conn *net.UDPConn, conf *tls.Config) {
	var s *control.Session
	var client *net.UDPAddr
	defer func() {
		if s != nil {
			s.Close()
		}
	}()
	buf, answered := make([]byte, 2048), false
	for {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		n, from, err := conn.ReadFromUDP(buf)
		switch {
		case err == nil:
			op, _, err := wire.ParseHeader(buf[:n])
			if err != nil || !op.IsControl() {
				break
			}
			if op == wire.OpControlHardResetClientV2 && (client == nil || from.String() != client.String()) {
				if s != nil {
					s.Close()
				}
				client, answered = from, false
				if s, err = control.New(control.Config{
					Role: keys.Server, TLS: conf, Wrap: ctrlwrap.NewPlain(), LocalOptions: p.options, PeerInfo: p.peerInfo, HandWindow: time.Minute,
				}, time.Now()); err != nil {
					return
				}
			}
			if s != nil {
				_ = s.Input(buf[:n], time.Now()) // whatever it makes of it
			}
		case !errors.Is(err, os.ErrDeadlineExceeded) && !strings.Contains(err.Error(), "refused"):
			return
		}
		if s != nil {
			answered = p.step(s, conn, client, answered)
		}
	}
}

// step moves the session on, and reports whether the options have been asked for.
func (p puppetServer) step(s *control.Session, conn *net.UDPConn, client *net.UDPAddr, answered bool) bool {
	s.Step(time.Now())
	for {
		e, ok := s.Event()
		if !ok {
			break
		}
		switch e := e.(type) {
		case control.NeedCredentials:
			_ = s.SetCredentials("", "")
		case control.Active:
			_, _ = s.KeyBlock(e.KeyID, true)
			if e.KeyID == 0 {
				p.say(s, p.greeting)
			}
		case control.Text:
			if e.Text == "PUSH_REQUEST" && !answered {
				p.say(s, p.texts)
				answered = true
			}
		}
	}
	for _, b := range s.Output() {
		_, _ = conn.WriteToUDP(b, client)
	}
	return answered
}

func (puppetServer) say(s *control.Session, texts []string) {
	for _, text := range texts {
		_ = s.SendText(text)
	}
}
