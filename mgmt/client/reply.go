package client

import (
	"strings"

	"github.com/moongate-vpn/moongate/mgmt/wire"
)

const (
	successPrefix = wire.Success
	errorPrefix   = wire.Error
	listEnd       = wire.End
)

// Reply is what the daemon answered to one command.
type Reply struct {
	// Raw are the lines in order, without line ends, the closing END of a list included. It is empty for
	// commands that have no answer.
	Raw []string
}

// Text is what followed the first "SUCCESS: ", or "".
func (r Reply) Text() string {
	for _, l := range r.Raw {
		if t, ok := strings.CutPrefix(l, successPrefix); ok {
			return t
		}
	}
	return ""
}

// Body are the lines of a list, without SUCCESS, ERROR and END.
func (r Reply) Body() []string {
	var body []string
	for i, l := range r.Raw {
		if i == len(r.Raw)-1 && l == listEnd || i == 0 && isStatus(l) {
			continue
		}
		body = append(body, l)
	}
	return body
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
