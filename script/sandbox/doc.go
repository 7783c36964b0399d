// Package sandbox builds Lua states for scripts nobody has read: only libraries that touch nothing outside, functions whose work is
// bounded, and a meter that ends what takes too much time or memory.
//
// gopher-lua looks at the state's context before each instruction. The meter is that context: it counts time and memory
// (Meter). What one instruction can do is bounded too: Compile turns ".." and "#" into functions of ours, the library functions whose
// work grows with their arguments tell the meter, pattern functions count their steps, strings have at most maxString bytes
// and lists about 131,000 entries.
//
// Functions that wait are in the prelude: handlers are coroutines, and may wait inside pcall and coroutines of their own.
package sandbox
