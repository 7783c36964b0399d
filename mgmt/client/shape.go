package client

import (
	"strconv"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// A part is one reply in the answer to a command. Most commands have one, some none, "log on all" two.
type part uint8

const (
	partStatus  part = iota // lines up to one that starts with SUCCESS: or ERROR:
	partList                // lines up to END; an ERROR: as first line is the whole part
	partAny                 // SUCCESS: or ERROR: as first line is the whole part, else lines up to END
	partSpecial             // one line that looks like a notification (pkcs11-id-*), or an ERROR:
	partUpdate              // push-update-*: status lines up to the final one
)

// shape tells what to expect for a command line.
type shape struct {
	word   string // command word, "" when the line is none
	parts  []part
	lines  int    // lines of "test n": a count, not a terminator
	expect string // notification kind prefix that answers partSpecial
	block  bool   // the command starts a block: its reply comes after END
}

// IsBlock reports whether line starts a block that ends with a line END.
func IsBlock(line string) bool {
	params, err := lexer.Split(line, "")
	return err == nil && len(params) > 0 && shapeOf(params, 0).block
}

// shapeFor decides from the command line how its reply ends. version is the protocol version of the greeting.
//
// Rule: docs/protocol.md#93-output-forms.
func shapeFor(line string, version int) shape {
	params, err := lexer.Split(line, "")
	if err != nil {
		return shape{parts: []part{partStatus}} // the daemon's lexer complains the same way
	}
	if len(params) == 0 {
		return shape{}
	}
	return shapeOf(params, version)
}

func shapeOf(params []string, version int) shape {
	s := shape{word: params[0]}
	args := params[1:]
	cmd := mgmt.Lookup(s.word)
	if cmd == nil {
		s.parts = []part{partAny}
		return s
	}
	one := partStatus
	switch cmd.Reply {
	case mgmt.ReplyNone:
		return s
	case mgmt.ReplyStatus:
		s.block = cmd.Block && len(args) >= cmd.Min // without its ids client-auth answers at once
	case mgmt.ReplyList:
		one = partList
	case mgmt.ReplyListOrStatus:
		if len(args) == 0 {
			one = partList
		}
	case mgmt.ReplyVersion:
		switch {
		case len(args) == 0:
			one = partList
		case version < 6 || leadingNumber(args[0]) < 4:
			return s
		}
	case mgmt.ReplyCount:
		if len(args) > 0 {
			s.lines = max(0, leadingNumber(args[0]))
			return s
		}
	case mgmt.ReplyHistory:
		if len(args) == 0 {
			one = partAny // "state" lists, the others miss their parameter
			break
		}
		for _, a := range args[:min(2, len(args))] {
			p := partList
			if a == "on" || a == "off" {
				p = partStatus
			}
			s.parts = append(s.parts, p)
		}
		return s
	case mgmt.ReplyNotification:
		one, s.expect = partSpecial, ">"+cmd.ReplyKind+":"
	case mgmt.ReplyUpdate:
		one = partUpdate
	}
	s.parts = []part{one}
	return s
}

// done reports whether line ends part p; first tells whether it is the part's first line.
func (p part) done(line string, first bool) bool {
	switch p {
	case partStatus:
		return isStatus(line)
	case partList:
		return line == listEnd || first && strings.HasPrefix(line, errorPrefix)
	case partAny:
		return line == listEnd || first && isStatus(line)
	case partSpecial:
		return true
	case partUpdate:
		return line == "SUCCESS: push-update command succeeded" || line == "ERROR: push-update command failed" ||
			strings.HasSuffix(line, "fail during cid parsing") ||
			first && (strings.HasPrefix(line, "ERROR: unknown command") || // or not now, or not by us, or not so
				strings.HasPrefix(strings.ToLower(line), "error: the 'push-update-"))
	}
	return true
}

// leadingNumber reads the leading decimal digits of s as the daemon does: else 0.
func leadingNumber(s string) int {
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && s[end] == '-') {
		end++
	}
	n, err := strconv.Atoi(s[:end])
	if err != nil {
		return 0
	}
	return n
}
