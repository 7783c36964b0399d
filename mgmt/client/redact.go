package client

import (
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/mgmt"
)

// redacted stands for what must not be kept.
const redacted = "[...]"

// Redact returns line, a command or a line of the daemon, without its secrets: what can be put into a log, a history or a
// recording. Commands that carry credentials keep their first word and their type.
func Redact(line string) string {
	trimmed := strings.TrimLeft(line, " \"'")
	if !strings.HasPrefix(trimmed, ">") {
		for _, c := range hiding {
			if rest, ok := strings.CutPrefix(trimmed, c.Name); ok && (rest == "" || strings.ContainsRune(" \"'", rune(rest[0]))) {
				return redactArgs(c, rest)
			}
		}
		return line
	}
	switch {
	case strings.HasPrefix(line, ">PASSWORD:Auth-Token:"):
		return ">PASSWORD:Auth-Token:" + redacted
	case strings.HasPrefix(line, ">CLIENT:ENV,password="):
		return ">CLIENT:ENV,password=" + redacted
	case strings.HasPrefix(line, ">CLIENT:ENV,session_id="):
		return ">CLIENT:ENV,session_id=" + redacted
	case strings.HasPrefix(line, ">CLIENT:CR_RESPONSE,"):
		if f := strings.SplitN(line, ",", 4); len(f) == 4 {
			return strings.Join(append(f[:3:3], redacted), ",")
		}
	}
	return line
}

// hiding are the commands with secrets.
var hiding = slices.DeleteFunc(slices.Clone(mgmt.Commands()), func(c mgmt.Command) bool { return c.Hides == mgmt.HidesNothing })

// redactArgs keeps the type of a credential, cuts the rest. A type in unfinished quotes is cut too.
func redactArgs(c mgmt.Command, rest string) string {
	word := c.Name
	rest = strings.TrimLeft(strings.TrimPrefix(strings.TrimPrefix(rest, `"`), "'"), " ")
	if rest == "" {
		return word
	}
	if c.Hides == mgmt.HidesAll {
		return word + " " + redacted
	}
	end := -1
	if rest[0] == '"' || rest[0] == '\'' {
		if i := strings.IndexByte(rest[1:], rest[0]); i >= 0 {
			end = i + 2
		}
	} else {
		end = strings.IndexByte(rest, ' ')
		if end < 0 {
			return word + " " + rest
		}
	}
	if end < 0 {
		return word + " " + redacted
	}
	if strings.TrimSpace(rest[end:]) == "" {
		return word + " " + rest[:end]
	}
	return word + " " + rest[:end] + " " + redacted
}
