package client

import (
	"errors"
	"fmt"
)

var (
	// ErrNoGreeting is returned by Dial and New when the port accepted the connection and then said nothing.
	ErrNoGreeting = errors.New("no greeting")
	// ErrPassword means that the port refused the password, or asks for one and none was given.
	ErrPassword = errors.New("password refused")
	// ErrCertificate means that the port refused our TLS certificate, or wants one and none was given.
	ErrCertificate = errors.New("certificate refused")
	// ErrRefused means that the port let us in and has no seat left.
	ErrRefused = errors.New("refused")
	// ErrNotManagement means that what answered does not speak the management protocol.
	ErrNotManagement = errors.New("not a management port")
	// ErrLost means that the connection ended, or was closed, before the reply was complete.
	ErrLost = errors.New("connection to the daemon lost")
	// ErrTimeout means that a reply did not come in time.
	ErrTimeout = errors.New("no reply in time")
	// ErrLine means that a command was not sent because the daemon could not read it as one line.
	ErrLine = errors.New("not a command line")
)

// UnreachableError says that no connection could be made to Addr.
type UnreachableError struct {
	Addr string
	Err  error
}

// Error names the address once; the reason of the system follows.
func (e *UnreachableError) Error() string { return fmt.Sprintf("reach %s: %v", e.Addr, e.Err) }

// Unwrap returns what the dialer said.
func (e *UnreachableError) Unwrap() error { return e.Err }

// ReplyError is a reply starting with "ERROR: ".
type ReplyError struct {
	Cmd  string // the command word
	Text string // what followed "ERROR: "
}

// Error is the daemon's text.
func (e *ReplyError) Error() string { return e.Text }
