//go:build linux && soak

package main

import (
	"testing"
	"time"
)

// A minute of top holds several collections of garbage.
func TestSoakTopIsCheap(t *testing.T) { topIsCheap(t, time.Minute) }
