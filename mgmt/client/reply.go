package client

import (
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt/wire"
)

const (
	successPrefix = wire.Success
	errorPrefix   = wire.Error
	listEnd       = wire.End
)

// Reply is the answer of the daemon to one command.
type Reply struct {
	// Raw are the lines in order, without line ends, the closing END of a list included. It is empty for
	// commands that have no answer.
	Raw []string
}

// Text is the text behind the first "SUCCESS: ", or "".
func (r Reply) Text() string {
	for _, l := range r.Raw {
		if t, ok := strings.CutPrefix(l, successPrefix); ok {
			return t
		}
	}
	return ""
}

// Body are the lines of a list, without SUCCESS, ERROR and END, nil for none. They share memory with Raw.
func (r Reply) Body() []string {
	body := r.Raw
	if n := len(body); n > 0 && body[n-1] == listEnd {
		body = body[:n-1]
	}
	if len(body) > 0 && isStatus(body[0]) {
		body = body[1:]
	}
	if len(body) == 0 {
		return nil
	}
	return slices.Clip(body)
}

// err is the first ERROR line as an error. Only the first and the last line can carry one: list bodies are free text.
func (r Reply) err(cmd string) error {
	if len(r.Raw) == 0 {
		return nil
	}
	for _, l := range []string{r.Raw[0], r.Raw[len(r.Raw)-1]} {
		if t, ok := strings.CutPrefix(l, errorPrefix); ok {
			return &ReplyError{Cmd: cmd, Text: t}
		}
	}
	return nil
}

func isStatus(line string) bool {
	return strings.HasPrefix(line, successPrefix) || strings.HasPrefix(line, errorPrefix)
}
