package message

import (
	"errors"
	"slices"
	"strings"
)

const (
	// pushBundle is the size of a control message with its NUL, in bytes; pushReserve stays free for what peers append.
	pushBundle  = 1024
	pushReserve = 84
	// pushOption is the limit of one pushed option with its NUL, in bytes.
	pushOption = 256
	// maxPushed bounds the options of one list: far above what servers push, far below what a client has room for.
	maxPushed = 1 << 18
)

// Marks at the end of a message: more of the list follows, or this was its last part.
const (
	pushMore = "push-continuation 2"
	pushLast = "push-continuation 1"
)

// ErrPushTooLong means that one option does not fit into a message.
var ErrPushTooLong = errors.New("--push option is too long")

// PackPush cuts a list of options into messages that begin with head ("PUSH_REPLY", "PUSH_UPDATE"), without the final NUL. A
// list that needs several messages carries push-continuation 2 in all but the last, which carries 1.
//
// Rule: docs/protocol.md#42-push_request--push_reply.
func PackPush(head string, options []string) ([]string, error) {
	var messages []string
	var b strings.Builder
	b.WriteString(head)
	for _, o := range options {
		if len(o) >= pushOption {
			return nil, ErrPushTooLong
		}
		if b.Len()+1+len(o) >= pushBundle-pushReserve {
			b.WriteString("," + pushMore)
			messages = append(messages, b.String())
			b.Reset()
			b.WriteString(head)
		}
		b.WriteByte(',')
		b.WriteString(o)
	}
	if len(messages) > 0 {
		b.WriteString("," + pushLast)
	}
	return append(messages, b.String()), nil
}

// PushList joins the messages of a push reply or update. The marks between messages stay in it.
type PushList struct{ Options []string }

// Add takes the argument of one message and reports whether the list is complete. ok is false when the list has more
// than 262,144 options: the peer never ends it.
func (l *PushList) Add(arg string) (complete, ok bool) {
	complete = true
	for option := range strings.SplitSeq(arg, ",") {
		option = strings.TrimLeft(option, " ")
		switch option {
		case "":
			continue
		case pushMore:
			complete = false
		case pushLast:
			complete = true
			continue
		}
		l.Options = append(l.Options, option)
	}
	return complete, len(l.Options) <= maxPushed
}

// Unmarked is the list without the marks.
func (l *PushList) Unmarked() []string {
	return slices.DeleteFunc(slices.Clone(l.Options), func(option string) bool { return option == pushMore })
}
