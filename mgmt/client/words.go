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

// endings are the errors with which a connection ends, and what each tells a user: the end of a sentence that names the other end.
var endings = []struct {
	err  error
	text string
}{
	{os.ErrDeadlineExceeded, "no answer in time"},
	{context.DeadlineExceeded, "no answer in time"},
	{context.Canceled, "interrupted"},
	{io.ErrUnexpectedEOF, "the connection broke off in the middle of an answer"},
	{io.EOF, "the other end closed the connection"},
	{syscall.EPIPE, "the other end closed the connection"},
	{syscall.ECONNRESET, "the other end reset the connection"},
	{net.ErrClosed, "the connection is closed"},
	{io.ErrClosedPipe, "the connection is closed"},
}

// Ending says in a user's words how the other end of a connection let it down: as the end of a sentence that names the other end. The result matches
// what err matches. Other errors lose the addresses that Go puts in front of them.
func Ending(err error) error {
	for _, e := range endings {
		if errors.Is(err, e.err) {
			return ended{e.text, err}
		}
	}
	var op *net.OpError
	if !errors.As(err, &op) || !strings.HasSuffix(err.Error(), op.Error()) {
		return err
	}
	return ended{plainDialError(op).Error(), err}
}

// InWords returns the text of an error with a user's words in place of those of Go's library, wherever they stand in it. It is for errors that
// have become text on their way; Ending is for the error itself.
func InWords(text string) string { return inWords.Replace(text) }

var inWords = func() *strings.Replacer {
	var pairs []string
	for _, e := range endings {
		if e.err != io.EOF { // three letters, which may be a part of any word
			pairs = append(pairs, e.err.Error(), e.text)
		}
	}
	return strings.NewReplacer(pairs...)
}()

// ended is an error in other words.
type ended struct {
	text string
	err  error
}

func (e ended) Error() string { return e.text }
func (e ended) Unwrap() error { return e.err }
