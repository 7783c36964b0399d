//go:build noindex || mips || mipsle || mips64 || ppc64

package index

// built reports whether this build has an index: modernc.org/sqlite v1.62.0 does not exist for these machines, and the tag noindex
// leaves it out of a small build.
const built = false
