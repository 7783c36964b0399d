package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/moongate-vpn/moongate/daemon/logging"
	"github.com/moongate-vpn/moongate/mgmt/lexer"
)

// otherSystems is an option of an update that concerns other systems.
const otherSystems = "block-outside-dns"

// updatable reports whether a server may change an option during a connection.
//
// Rule: docs/protocol.md#94-push-update-broad-and-push-update-cid.
func updatable(name string) bool {
	r := table()[name]
	return name == otherSystems || r != nil && r.facts&inUpdate != 0
}

// replaced are the options whose values an update of name replaces.
func replaced(name string) []string {
	if name == "keepalive" {
		return []string{"ping", "ping-restart", "ping-exit"}
	}
	return []string{name}
}

// errValues means that an entry has another number of values than its option takes.
var errValues = errors.New("missing or extra parameter(s)")

// maxPushed bounds what updates may collect.
const maxPushed = 1 << 18

// Update is the result of an update of a connection's options.
type Update struct {
	Options *Options
	Profile *Connection
	// Pushed is the list a server would push to get there at once.
	Pushed []string
	// Digest is that of PushResult for Pushed.
	Digest [32]byte
	// Notes are lines for the log. They are valid with an error, too.
	Notes []Note
	// Rejected is the option that a pull filter refused, or that cannot be updated. The client then restarts, and nothing else is set.
	Rejected string
}

// shownEntry is an entry for the log, without a token.
func (ch change) shownEntry(e string) string {
	e = strings.TrimLeft(e, " ")
	if at := strings.Index(e, ch.name); at >= 0 && strings.HasPrefix(ch.name, "auth-token") {
		return e[:at] + ch.name
	}
	return e
}

// UpdatePushed applies the options of a PUSH_UPDATE, all parts together and without that word, to the list that was
// pushed so far. o and c are the options without anything pulled and are not changed.
//
//	name value    replaces all values of that option
//	-name         takes them back
//	?… and -?…    is passed over when it cannot be updated
//
// What the client itself is configured with stays, as if the new list had been pushed at the start. An entry with a wrong value
// is noted and passed over, and what it would have replaced stays. Rejected names an option that cannot be updated, and an error
// tells of a malformed entry: then the update is no good as a whole.
//
// Rule: docs/protocol.md#47-push_update-27.
func (o *Options) UpdatePushed(c *Connection, pushed, entries []string) (*Update, error) {
	u := &Update{}
	changes, err := o.changes(entries, u)
	if err != nil || u.Rejected != "" {
		return u, err
	}
	changes = slices.DeleteFunc(changes, o.wrongChange(*c, u))
	values := make(map[string][]string)
	var names, gone, set []string // options of the update in order, what they replace, and what by
	for _, ch := range changes {
		if _, ok := values[ch.name]; !ok {
			names, gone = append(names, ch.name), append(gone, replaced(ch.name)...)
		}
		if ch.remove {
			values[ch.name] = nil
			continue
		}
		values[ch.name] = append(values[ch.name], ch.options...)
	}
	for _, n := range names {
		set = append(set, values[n]...)
	}
	u.Pushed = append(without(pushed, gone), set...)
	if len(u.Pushed) > maxPushed {
		return u, errors.New("too many options")
	}
	// Alone, so that the notes are about the update, and only its mistakes count.
	alone, profile, res := o.Clone(), *c, &PushResult{}
	if err := cmp.Or(alone.applyPushed(&profile, set, res), res.wrong); err != nil {
		return u, err
	}
	u.Notes = append(u.Notes, res.Notes...)
	profile = *c
	u.Options, u.Profile = o.Clone(), &profile
	all, err := u.Options.ApplyPushed(&profile, u.Pushed)
	u.Digest = all.Digest
	return u, err
}

// wrongChange reports which changes have a wrong value, and notes why.
func (o *Options) wrongChange(c Connection, u *Update) func(change) bool {
	p := &parser{o: o.Clone(), c: &c, ctx: pushContext}
	return func(ch change) bool {
		for _, option := range ch.options {
			words, err := lexer.Split(option, pushList)
			if err == nil {
				err = p.apply(Directive{Name: words[0], Params: words[1:], File: pushList, Line: 1})
			}
			if err != nil {
				u.Notes = append(u.Notes, Note{logging.Warn, err.Error()})
				return true
			}
		}
		return false
	}
}

// change is one entry of an update.
type change struct {
	name    string
	options []string // to be pushed instead, none with remove
	remove  bool
}

// changes reads the entries that are to have an effect. What pull filters and route-nopull keep away is passed over. A
// filter sees what would be pushed, ping and ping-restart for keepalive, and what is taken back as "-name".
func (o *Options) changes(entries []string, u *Update) ([]change, error) {
	var list []change
	res := &PushResult{}
	defer func() { u.Notes, u.Rejected = res.Notes, res.Rejected }()
	for _, e := range entries {
		rest, remove := strings.CutPrefix(strings.TrimLeft(e, " "), "-")
		rest, optional := strings.CutPrefix(rest, "?")
		ch, err := newChange(rest, remove)
		if errors.Is(err, errValues) {
			res.Notes = append(res.Notes, Note{logging.Warn, fmt.Sprintf("Options error: %v", err)})
			continue
		}
		if err != nil {
			return nil, err
		}
		shown := ch.options
		if remove {
			shown = []string{"-" + ch.name}
		}
		kept, ok := o.filterPushed(shown, res)
		if !ok {
			return nil, nil
		}
		kept = slices.DeleteFunc(slices.Clone(kept), func(option string) bool { return option == "" })
		if !remove {
			ch.options = kept
		}
		switch {
		case len(kept) == 0:
		case !updatable(ch.name) && !optional:
			res.Notes = append(res.Notes, Note{logging.Warn, fmt.Sprintf("Pushed option is not updatable: '%s'.", ch.shownEntry(e))})
			res.Rejected = e
			return nil, nil
		case !updatable(ch.name):
			res.Notes = append(res.Notes, Note{logging.Steps, fmt.Sprintf("Pushed dispensable option is not updatable: '%s'. Ignoring.", ch.shownEntry(e))})
		case o.RouteNopull && routing(ch.name):
			res.Notes = append(res.Notes, Note{logging.Steps, fmt.Sprintf("Push update of option '%s' ignored: route-nopull", ch.name)})
		case ch.name == otherSystems:
			res.Notes = append(res.Notes, Note{logging.Warn, "WARNING: --" + otherSystems + " has no effect on this system"})
		default:
			list = append(list, ch)
		}
	}
	return list, nil
}

// newChange reads an entry without its marks.
func newChange(entry string, remove bool) (change, error) {
	words, err := lexer.Split(entry, pushList)
	if err != nil {
		return change{}, err
	}
	if len(words) == 0 {
		return change{}, errors.New("no option behind '-' or '?'")
	}
	ch := change{name: words[0], remove: remove}
	switch {
	case strings.HasPrefix(ch.name, "-"), strings.HasPrefix(ch.name, "?"):
		return ch, fmt.Errorf("option '%s' has marks other than '-', '?' or '-?'", ch.name)
	case remove && len(words) > 1:
		return ch, fmt.Errorf("option '-%s' has %w", ch.name, errValues)
	case remove:
	case ch.name != "keepalive":
		ch.options = []string{entry}
	case len(words) == 3:
		ch.options = []string{"ping " + words[1], "ping-restart " + words[2]}
	default:
		return ch, fmt.Errorf("option 'keepalive' has %w", errValues)
	}
	return ch, nil
}

// routing reports whether route-nopull is about an option.
func routing(name string) bool {
	r := table()[name]
	return r != nil && r.facts&inRoutes != 0
}

// without is the list but for the options of these names.
func without(list, names []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(entry string) bool {
		words, err := lexer.Split(entry, pushList)
		return err == nil && len(words) > 0 && slices.Contains(names, words[0])
	})
}
