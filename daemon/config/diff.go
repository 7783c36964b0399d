package config

// Change is an option whose lines differ between two configurations.
type Change struct {
	Option   string
	Old, New []Directive // empty when it was added or removed
}

// Diff lists the options that differ, by name in alphabetical order. The order of lines counts within one option
// only; where they stand does not.
func Diff(old, new *Options) []Change {
	return nil
}
