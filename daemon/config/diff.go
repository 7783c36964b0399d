package config

import (
	"maps"
	"slices"

	"github.com/moongate-vpn/moongate/mgmt"
)

// Change is an option whose lines differ between two configurations.
type Change struct {
	Option   string
	Old, New []Directive // empty when it was added or removed
}

// OnReload tells how far a running server can apply a change of an option.
func OnReload(option string) mgmt.Outcome {
	switch r := table()[option]; {
	case r == nil:
		return mgmt.OutcomeRestart
	case r.facts&atOnce != 0:
		return mgmt.OutcomeApplied
	case r.facts&forNew != 0:
		return mgmt.OutcomeReconnect
	default:
		return mgmt.OutcomeRestart
	}
}

// Diff lists the options that differ, by name in alphabetical order. The order of lines counts within one option
// only; where they stand does not. Files that options name are not looked into.
func Diff(old, new *Options) []Change {
	before, after := byName(old), byName(new)
	names := maps.Clone(before)
	maps.Copy(names, after)
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(names)) {
		same := slices.EqualFunc(before[name], after[name], func(a, b Directive) bool {
			return a.Inline == b.Inline && slices.Equal(a.Params, b.Params)
		})
		if !same {
			changes = append(changes, Change{Option: name, Old: before[name], New: after[name]})
		}
	}
	return changes
}

func byName(o *Options) map[string][]Directive {
	m := make(map[string][]Directive)
	for _, d := range o.directives {
		if d.Name != "config" {
			m[d.Name] = append(m[d.Name], d)
		}
	}
	return m
}
