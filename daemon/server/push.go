package server

import (
	"errors"
	"strings"
)

const (
	// pushBundle is the size of a control message with its NUL, in bytes; pushReserve stays free for what peers append.
	pushBundle  = 1024
	pushReserve = 84
	// pushOption is the limit of one pushed option with its NUL, in bytes.
	pushOption = 256
)

// errPushTooLong means that one option does not fit into a message.
var errPushTooLong = errors.New("--push option is too long")

// pushReply packs options into PUSH_REPLY messages.
func pushReply(options []string) ([]string, error) { return pushMessages("PUSH_REPLY", options) }

// pushMessages packs options into messages that begin with head, without the final NUL. A list that needs several
// messages carries push-continuation 2 in all but the last, which carries 1.
//
// Rule: docs/protocol.md#42-push_request--push_reply.
func pushMessages(head string, options []string) ([]string, error) {
	var messages []string
	var b strings.Builder
	b.WriteString(head)
	for _, o := range options {
		if len(o) >= pushOption {
			return nil, errPushTooLong
		}
		if b.Len()+1+len(o) >= pushBundle-pushReserve {
			b.WriteString(",push-continuation 2")
			messages = append(messages, b.String())
			b.Reset()
			b.WriteString(head)
		}
		b.WriteByte(',')
		b.WriteString(o)
	}
	if len(messages) > 0 {
		b.WriteString(",push-continuation 1")
	}
	return append(messages, b.String()), nil
}
