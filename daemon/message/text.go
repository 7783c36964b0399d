package message

import (
	"strconv"
	"strings"
	"time"
)

// TextKind is the kind of a text message on the control channel.
type TextKind uint8

// Kinds of text messages, with their names on the wire.
const (
	TextUnknown     TextKind = iota
	TextPushRequest          // PUSH_REQUEST
	TextPushReply            // PUSH_REPLY
	TextPushUpdate           // PUSH_UPDATE
	TextAuthFailed           // AUTH_FAILED
	TextAuthPending          // AUTH_PENDING
	TextInfoPre              // INFO_PRE
	TextInfo                 // INFO
	TextCRResponse           // CR_RESPONSE
	TextRestart              // RESTART
	TextHalt                 // HALT
	TextExit                 // EXIT
)

// texts are the message names in the order in which prefixes are tried: INFO_PRE before INFO.
var texts = []struct {
	name string
	kind TextKind
}{
	{"PUSH_REQUEST", TextPushRequest},
	{"PUSH_REPLY", TextPushReply},
	{"PUSH_UPDATE", TextPushUpdate},
	{"AUTH_FAILED", TextAuthFailed},
	{"AUTH_PENDING", TextAuthPending},
	{"INFO_PRE", TextInfoPre},
	{"INFO", TextInfo},
	{"CR_RESPONSE", TextCRResponse},
	{"RESTART", TextRestart},
	{"HALT", TextHalt},
	{"EXIT", TextExit},
}

// ParseText splits a message into its kind and what follows the comma behind its name, without CR and LF at its end. Names are matched
// by prefix; what stands between one and a comma takes the argument away, and makes a push message unknown.
//
// Rule: docs/protocol.md#41-format.
func ParseText(msg string) (kind TextKind, arg string) {
	for _, t := range texts {
		rest, ok := strings.CutPrefix(msg, t.name)
		if !ok {
			continue
		}
		arg, comma := strings.CutPrefix(rest, ",")
		if !comma && (t.kind == TextPushReply || t.kind == TextPushUpdate) && rest != "" {
			return TextUnknown, "" // no list, and nothing to go on with
		}
		if !comma {
			arg = ""
		}
		return t.kind, strings.TrimRight(arg, "\r\n")
	}
	return TextUnknown, ""
}

// Advance is where a temporary failure sends a client for its next attempt.
type Advance uint8

// Ways to go on after AUTH_FAILED,TEMP.
const (
	AdvanceDefault Advance = iota // stay at the address
	AdvanceNo
	AdvanceAddr   // the next address of the same remote
	AdvanceRemote // the next remote
)

// AuthFailure is a parsed AUTH_FAILED message.
//
//	AUTH_FAILED[,reason]        reason: free text, CRV1:… or SESSION: …
//	AUTH_FAILED,TEMP[backoff 3,advance no]:text
//
// Rule: docs/protocol.md#43-auth_failed.
type AuthFailure struct {
	Reason  string // as received
	Temp    bool
	Backoff time.Duration // least pause, at most a day
	Advance Advance
	Text    string // of a temporary failure, for people
}

// ParseAuthFailed takes the argument of AUTH_FAILED.
func ParseAuthFailed(arg string) AuthFailure {
	f := AuthFailure{Reason: arg}
	rest, ok := strings.CutPrefix(arg, "TEMP")
	if !ok {
		return f
	}
	f.Temp = true
	if body, after, ok := strings.Cut(rest, "]"); ok && strings.HasPrefix(body, "[") {
		for item := range strings.SplitSeq(body[1:], ",") {
			key, value, _ := strings.Cut(strings.TrimSpace(item), " ")
			switch key {
			case "backoff":
				if n, err := strconv.Atoi(value); err == nil && n > 0 {
					f.Backoff = time.Duration(min(n, 86400)) * time.Second
				}
			case "advance":
				switch value {
				case "no":
					f.Advance = AdvanceNo
				case "addr":
					f.Advance = AdvanceAddr
				case "remote":
					f.Advance = AdvanceRemote
				}
			}
		}
		rest = after
	}
	_, f.Text, _ = strings.Cut(rest, ":")
	return f
}

// PendingTimeout reads the parameter "timeout N" of AUTH_PENDING, in seconds, whatever follows the digits. It returns false for any other.
func PendingTimeout(param string) (time.Duration, bool) {
	value, ok := strings.CutPrefix(param, "timeout")
	if !ok {
		return 0, false
	}
	value = strings.TrimPrefix(strings.TrimLeft(value, " "), "+")
	digits := value[:len(value)-len(strings.TrimLeft(value, "0123456789"))]
	n, err := strconv.Atoi(digits)
	if err != nil && len(digits) == 0 {
		return 0, false
	}
	if err != nil { // more than an int holds
		n = longestPending
	}
	return time.Duration(min(n, longestPending)) * time.Second, true
}

const longestPending = 1 << 20 // seconds

// ConnectionFlags reads the flags of RESTART and HALT: letters in brackets right at the start of the argument.
//
// Rule: docs/protocol.md#45-restart-halt-exit.
func ConnectionFlags(arg string) (keepPassword, nextRemote bool) {
	body, _, ok := strings.Cut(arg, "]")
	if !ok || !strings.HasPrefix(body, "[") {
		return false, false
	}
	return strings.Contains(body, "P"), strings.Contains(body, "N")
}
