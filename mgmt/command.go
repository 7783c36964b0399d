package mgmt

import "strings"

// Command is a row of the command table.
type Command struct {
	Name    string
	Args    string     // synopsis of the parameters, for help
	Help    string     // one line, for help
	Min     int        // parameters that must be there
	AtLeast bool       // the arity error says "at least"
	Words   [][]string // completion words by parameter position; nil: free text
	Repeat  bool       // the last Words set serves further parameters too
	Block   bool       // collects lines up to END
	Role    Role       // what a seat needs to use it; queries of settings need RoleObserve only, see Query
	Query   bool       // without parameters it only shows
	Hidden  bool       // not in help

	Reply     Reply  // how the reply ends
	ReplyKind string // the kind a ReplyNotification has
	Answers   string // the kind of the prompts it answers, "" for none
	Hides     Hiding // what of its parameters must not be kept
	Example   string // a use
	Returns   string // what the reply says: a field a line, "name: meaning"
}

// Reply tells how the reply to a command ends.
//
// Rule: docs/protocol.md#93-output-forms.
type Reply uint8

// Replies. A line ERROR: is the whole of any.
const (
	ReplyStatus       Reply = iota // a line SUCCESS: or ERROR:
	ReplyList                      // lines up to END
	ReplyListOrStatus              // a list without parameters, a status with
	ReplyHistory                   // a status for each on and off, a list for anything else
	ReplyVersion                   // a list without parameters; a status or nothing with
	ReplyCount                     // as many lines as the parameter says
	ReplyNotification              // one line that looks like a notification
	ReplyUpdate                    // status lines up to the one about the whole
	ReplyNone                      // none: the session ends
)

// Hiding tells which parameters of a command carry secrets.
type Hiding uint8

// Hidings.
const (
	HidesNothing    Hiding = iota
	HidesBehindType        // all but the first, a type
	HidesAll
)

// Synopsis is the name with its parameters.
func (c *Command) Synopsis() string {
	if c.Args == "" {
		return c.Name
	}
	return c.Name + " " + c.Args
}

// Needs is the role that a use with n parameters needs.
func (c *Command) Needs(n int) Role {
	if c.Query && n == 0 {
		return RoleObserve
	}
	return c.Role
}

var byName = func() map[string]*Command {
	m := make(map[string]*Command, len(commands))
	for i := range commands {
		m[commands[i].Name] = &commands[i]
	}
	return m
}()

// Commands returns the command table in alphabetical order. It must not be changed.
func Commands() []Command { return commands }

// Lookup finds a command by its exact name, nil if there is none.
func Lookup(name string) *Command { return byName[name] }

// Complete returns the words that may stand as parameter number len(params) of the command params[0] and start with
// prefix, or the command names when params is empty.
func Complete(params []string, prefix string) []string {
	var from, out []string
	if len(params) == 0 {
		for i := range commands {
			from = append(from, commands[i].Name)
		}
	} else if c := Lookup(params[0]); c != nil && len(c.Words) > 0 {
		at := len(params) - 1
		if c.Repeat {
			at = min(at, len(c.Words)-1)
		}
		if at < len(c.Words) {
			from = c.Words[at]
		}
	}
	for _, w := range from {
		if strings.HasPrefix(w, prefix) {
			out = append(out, w)
		}
	}
	return out
}
