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

// shape is what to expect for a command line.
type shape struct {
	word   string // command word, "" when the line is none
	parts  []part
	lines  int    // lines of "test n": a count, not a terminator
	expect string // notification kind prefix that answers partSpecial
	block  bool   // the command starts a block: its reply comes after END
}

// listCommands answer with a list when they work.
var listCommands = map[string]bool{
	"help": true, "scripts": true, "status": true, "net": true, "remote-entry-count": true, "remote-entry-get": true,
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
	switch s.word {
	case "exit", "quit":
	case "test":
		if len(args) == 0 {
			s.parts = []part{partStatus}
			break
		}
		s.lines = max(0, leadingNumber(args[0]))
	case "version":
		switch {
		case len(args) == 0:
			s.parts = []part{partList}
		case version >= 6 && leadingNumber(args[0]) >= 4:
			s.parts = []part{partStatus}
		}
	case "state", "log", "echo":
		if len(args) == 0 {
			s.parts = []part{partAny} // "state" lists, the others miss their parameter
			break
		}
		for _, a := range args[:min(2, len(args))] {
			p := partList
			if a == "on" || a == "off" {
				p = partStatus
			}
			s.parts = append(s.parts, p)
		}
	case "reload":
		if s.parts = []part{partList}; len(args) > 0 {
			s.parts = []part{partStatus}
		}
	case "pkcs11-id-count":
		s.parts, s.expect = []part{partSpecial}, ">PKCS11ID-COUNT:"
	case "pkcs11-id-get":
		s.parts, s.expect = []part{partSpecial}, ">PKCS11ID-ENTRY:"
	case "push-update-broad", "push-update-cid":
		s.parts = []part{partUpdate}
	default:
		// A word in no table is read as partAny; of the table, whatever is no list ends in SUCCESS: or ERROR:.
		cmd := mgmt.Lookup(s.word)
		switch {
		case cmd != nil && cmd.Block:
			s.parts = []part{partStatus}
			s.block = s.word != "client-auth" || len(args) >= 2 // without its ids it answers at once
		case listCommands[s.word]:
			s.parts = []part{partList}
		case cmd != nil:
			s.parts = []part{partStatus}
		default:
			s.parts = []part{partAny}
		}
	}
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
