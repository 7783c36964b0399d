package wire

import (
	"strings"

	"github.com/moongate-vpn/moongate/mgmt"
)

// Notification is one real-time notification; a block with its environment is one.
type Notification struct {
	Kind string   // a Kind constant of mgmt, or one we do not know
	Text string   // what follows the colon; of the head line, for a block
	Env  []string // "name=value" in the daemon's order; nil without a block
}

// Append adds the lines with their CR LF.
func (n Notification) Append(b []byte) []byte {
	b = AppendLine(b, n.Kind, n.Text)
	if mgmt.HasBlock(n.Kind, n.Text) {
		b = AppendEnv(b, n.Kind, n.Env)
	}
	return b
}

// String is the head line without its CR LF.
func (n Notification) String() string { return ">" + n.Kind + ":" + n.Text }

// AppendLine adds ">kind:text" CR LF.
func AppendLine(b []byte, kind, text string) []byte {
	b = append(append(append(b, '>'), kind...), ':')
	return append(mgmt.AppendText(b, text), '\r', '\n')
}

// AppendEnv adds the ENV lines of a block and its end.
func AppendEnv(b []byte, kind string, env []string) []byte {
	for _, e := range env {
		b = append(append(append(b, '>'), kind...), ":ENV,"...)
		b = append(mgmt.AppendEnv(b, e), '\r', '\n')
	}
	return append(append(append(b, '>'), kind...), ":ENV,END\r\n"...)
}

// Lookup returns the value of an environment variable of the block.
func (n Notification) Lookup(name string) (string, bool) {
	for _, e := range n.Env {
		if k, v, _ := strings.Cut(e, "="); k == name {
			return v, true
		}
	}
	return "", false
}

// maxEnv bounds the variables of one block, so that a block without an end costs bounded memory.
const maxEnv = 4096

// Assembler makes notifications of lines. Blocks may have notifications of other kinds between their lines. The zero
// value is ready.
type Assembler struct {
	open [2]*Notification // the CLIENT and UPDOWN blocks under way
}

// Add takes one line that starts with '>' and returns a notification if it completes one. Lines of a block whose head was
// missed are dropped, as are variables past a bound no daemon comes near.
func (a *Assembler) Add(line string) (Notification, bool) {
	kind, text, _ := strings.Cut(strings.TrimPrefix(line, ">"), ":")
	at := 0
	switch kind {
	case mgmt.KindClient:
	case mgmt.KindUpDown:
		at = 1
	default:
		return Notification{Kind: kind, Text: text}, true
	}
	if v, ok := strings.CutPrefix(text, "ENV,"); ok {
		n := a.open[at]
		switch {
		case n == nil:
		case v == End:
			a.open[at] = nil
			return *n, true
		case len(n.Env) < maxEnv:
			n.Env = append(n.Env, v)
		}
		return Notification{}, false
	}
	n := Notification{Kind: kind, Text: text}
	if !mgmt.HasBlock(kind, text) {
		return n, true
	}
	a.open[at] = &n
	return Notification{}, false
}
