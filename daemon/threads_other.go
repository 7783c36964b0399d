//go:build !linux

package daemon

import "math"

func threadLimit() int { return math.MaxInt }

func fitThreads(int) (scripts int) { return 0 }
