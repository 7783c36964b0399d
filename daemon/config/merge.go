package config

import "os"

// Merge makes the options that a running daemon can take from next: the lines of next, except for options that keep
// names, whose lines are those of old. Everything derived from lines is derived anew. Files are not looked at; the
// error is that of the checks, when the two do not go together.
func Merge(old, next *Options, keep func(option string) bool) (*Options, error) {
	before := byName(old)
	p := &parser{o: defaults(os.Getenv), env: Env{Getenv: os.Getenv, SkipFiles: true}, fail: func(e *Error) error { return e }}
	p.c = &p.o.state.ce
	p.o.Config = next.Config
	take := func(list []Directive) error {
		for _, d := range list {
			if err := p.apply(d); err != nil {
				return err
			}
		}
		return nil
	}
	kept := make(map[string]bool)
	for _, d := range next.directives {
		list := []Directive{d}
		switch {
		case d.Name == "config":
			continue // what it brought is in the list
		case keep(d.Name) && kept[d.Name]:
			continue
		case keep(d.Name):
			kept[d.Name] = true
			list = before[d.Name]
		}
		if err := take(list); err != nil {
			return nil, err
		}
	}
	for _, d := range old.directives {
		if d.Name != "config" && keep(d.Name) && !kept[d.Name] {
			if err := take([]Directive{d}); err != nil {
				return nil, err
			}
		}
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	return p.o, nil
}
