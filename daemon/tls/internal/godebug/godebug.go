// Package godebug stands in for internal/godebug: every setting has its default.
package godebug

// Setting is one setting of GODEBUG that nobody can change.
type Setting struct{}

// New returns the setting called name.
func New(string) *Setting { return &Setting{} }

// Value is the value that was set: none.
func (*Setting) Value() string { return "" }

// Name is what messages call the setting.
func (*Setting) Name() string { return "" }

// IncNonDefault counts uses of a value that is not the default.
func (*Setting) IncNonDefault() {}
