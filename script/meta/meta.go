// Package meta holds the declarations of everything a script sees, for the Lua language server. A test of package script compares
// them with the functions that are there.
package meta

import _ "embed"

// Types is the declaration file.
//
//go:embed moongate.lua
var Types string
