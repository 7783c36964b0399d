//go:build race

package main

// raceEnabled tells that figures of this build are not the program's.
const raceEnabled = true
