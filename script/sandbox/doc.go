// Package sandbox builds Lua states for scripts nobody has read: only libraries that touch nothing outside, and string functions
// whose work is bounded.
//
// gopher-lua looks at the state's context between instructions, so a loop in Lua can be stopped, but never inside a Go
// function. Its own pattern functions can backtrack for minutes and gsub is quadratic; ours count their steps, look at the
// context while they work, and refuse results larger than MaxString.
//
// What is not bounded: memory taken by many small values. The handler deadline limits how long it can grow.
package sandbox
