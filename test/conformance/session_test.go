//go:build linux

package conformance

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// patience is how long a step waits. It is generous: only a failing scenario uses it up.
const patience = 40 * time.Second

// silence is how long "either" waits for what one of the two does not say.
const silence = 3 * time.Second

// errSilence is the end of patience.
var errSilence = errors.New("nothing came")

// question is the one output of the port without a line end.
const question = "ENTER PASSWORD:"

// closed stands in a transcript for the end of a connection.
const closed = "<closed>"

// session is one connection to a port.
type session struct {
	conn  net.Conn
	lines chan string // closed at the end of the connection
}

// dialPort connects as soon as somebody listens.
func dialPort(address string, gone <-chan struct{}) (*session, error) {
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	for end := time.Now().Add(patience); ; {
		conn, err := net.Dial(network, address)
		if err == nil {
			return newSession(conn), nil
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("nobody listens: %w", err)
		}
		select {
		case <-gone:
			return nil, errors.New("the daemon ended without listening")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func newSession(conn net.Conn) *session {
	s := &session{conn: conn, lines: make(chan string, 1<<16)}
	go s.read()
	return s
}

// read cuts what comes into lines. Line ends are part of the contract: a line without CR says so.
func (s *session) read() {
	defer close(s.lines)
	var rest string
	buf := make([]byte, 16<<10)
	for {
		n, err := s.conn.Read(buf)
		rest += string(buf[:n])
		for rest != "" {
			if after, ok := strings.CutPrefix(rest, question); ok {
				s.lines <- question
				rest = after
				continue
			}
			line, after, ok := strings.Cut(rest, "\n")
			if !ok {
				break
			}
			rest = after
			if strings.HasPrefix(line, lostBehindMux) {
				s.conn.Close() // to the scenario the port is gone
				return
			}
			if text, ok := strings.CutSuffix(line, "\r"); ok {
				s.lines <- text
			} else {
				s.lines <- line + "<no CR>"
			}
		}
		if err != nil {
			if rest != "" {
				s.lines <- rest + "<no line end>"
			}
			return
		}
	}
}

// next is the next line, or closed.
func (s *session) next(limit <-chan time.Time) (string, error) {
	select {
	case l, ok := <-s.lines:
		if !ok {
			return closed, nil
		}
		return l, nil
	case <-limit:
		return "", errSilence
	}
}
