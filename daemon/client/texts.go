package client

import (
	"strconv"
	"strings"
	"time"
)

// textKind is the kind of a text message on the control channel.
type textKind uint8

const (
	textUnknown textKind = iota
	textPushReply
	textAuthFailed
	textAuthPending
	textInfoPre
	textInfo
	textRestart
	textHalt
	textExit
	textPushUpdate
)

// texts are the message names by the order in which prefixes are tried: INFO_PRE before INFO.
var texts = []struct {
	name string
	kind textKind
}{
	{"AUTH_FAILED", textAuthFailed},
	{"AUTH_PENDING", textAuthPending},
	{"PUSH_REPLY", textPushReply},
	{"PUSH_UPDATE", textPushUpdate},
	{"RESTART", textRestart},
	{"HALT", textHalt},
	{"INFO_PRE", textInfoPre},
	{"INFO", textInfo},
	{"EXIT", textExit},
}

// parseText splits a message into its kind and what follows the first comma. Names are matched by prefix.
func parseText(msg string) (kind textKind, arg string) {
	for _, t := range texts {
		if rest, ok := strings.CutPrefix(msg, t.name); ok {
			_, arg, _ = strings.Cut(rest, ",")
			return t.kind, strings.TrimRight(arg, "\r\n")
		}
	}
	return textUnknown, ""
}

// advance is where a temporary failure sends the client for its next attempt.
type advance uint8

const (
	advanceDefault advance = iota // stay at the address
	advanceNo
	advanceAddr
	advanceRemote
)

// authFailure is a parsed AUTH_FAILED message.
//
//	AUTH_FAILED[,reason]        reason: free text, CRV1:… or SESSION: …
//	AUTH_FAILED,TEMP[backoff 3,advance no]:text
type authFailure struct {
	reason  string // as received
	temp    bool
	backoff time.Duration
	advance advance
	text    string // of a temporary failure, for people
}

func parseAuthFailed(arg string) authFailure {
	f := authFailure{reason: arg}
	rest, ok := strings.CutPrefix(arg, "TEMP")
	if !ok {
		return f
	}
	f.temp = true
	if body, after, ok := strings.Cut(rest, "]"); ok && strings.HasPrefix(body, "[") {
		for item := range strings.SplitSeq(body[1:], ",") {
			key, value, _ := strings.Cut(strings.TrimSpace(item), " ")
			switch key {
			case "backoff":
				if n, err := strconv.Atoi(value); err == nil && n > 0 {
					f.backoff = time.Duration(min(n, 86400)) * time.Second
				}
			case "advance":
				switch value {
				case "no":
					f.advance = advanceNo
				case "addr":
					f.advance = advanceAddr
				case "remote":
					f.advance = advanceRemote
				}
			}
		}
		rest = after
	}
	_, f.text, _ = strings.Cut(rest, ":")
	return f
}

// pendingTimeout returns the seconds of AUTH_PENDING,timeout N, or 0 without the keyword.
func pendingTimeout(arg string) time.Duration {
	value, ok := strings.CutPrefix(arg, "timeout ")
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 1<<20)) * time.Second
}

// connectionFlags splits the flags off the argument of RESTART and HALT: letters in brackets right at its start.
func connectionFlags(arg string) (keepPassword, nextRemote bool) {
	body, _, ok := strings.Cut(arg, "]")
	if !ok || !strings.HasPrefix(body, "[") {
		return false, false
	}
	return strings.Contains(body, "P"), strings.Contains(body, "N")
}

// pushList joins the parts of a push reply or update.
type pushList struct{ options []string }

// add takes the argument of one message and reports whether the list is complete. Options are bounded: a server
// that never ends its list is refused with false.
func (l *pushList) add(arg string) (complete, ok bool) {
	complete = true
	for option := range strings.SplitSeq(arg, ",") {
		option = strings.TrimLeft(option, " ")
		switch option {
		case "":
		case "push-continuation 2":
			complete = false
		case "push-continuation 1":
		default:
			l.options = append(l.options, option)
		}
	}
	return complete, len(l.options) <= maxPushed
}

// maxPushed bounds the options of one list.
const maxPushed = 8192
