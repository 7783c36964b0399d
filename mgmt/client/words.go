package client

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
)

// Ending says in a user's words how the other end of a connection let it down: as the end of a sentence that names the other end. The result matches
// what err matches. Other errors lose the addresses that Go puts in front of them.
func Ending(err error) error {
	if err == nil {
		return nil
	}
	text := ""
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		text = "no answer in time"
	case errors.Is(err, context.Canceled):
		text = "interrupted"
	case errors.Is(err, io.ErrUnexpectedEOF):
		text = "the connection broke off in the middle of an answer"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE):
		text = "the other end closed the connection"
	case errors.Is(err, syscall.ECONNRESET):
		text = "the other end reset the connection"
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		text = "the connection is closed"
	default:
		var op *net.OpError
		if !errors.As(err, &op) || !strings.HasSuffix(err.Error(), op.Error()) {
			return err
		}
		text = plainDialError(op).Error()
	}
	return ended{text, err}
}

// ended is an error in other words.
type ended struct {
	text string
	err  error
}

func (e ended) Error() string { return e.text }
func (e ended) Unwrap() error { return e.err }
