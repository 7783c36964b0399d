//go:build !noindex && !mips && !mipsle && !mips64 && !ppc64

package index

import _ "modernc.org/sqlite" // SQLite in Go, for the machines that it is made for

// built reports whether this build has an index.
const built = true
