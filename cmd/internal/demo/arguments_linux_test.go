package demo

import (
	"strings"
	"testing"
)

// The demonstration that starts itself again plays the same.
func TestArguments(t *testing.T) {
	for want, o := range map[string]Options{
		"demo --no-prompt":                {},
		"demo":                            {Prompt: true},
		"demo --fleet --no-prompt":        {Fleet: true},
		"demo --fleet --keep":             {Fleet: true, Keep: true, Prompt: true},
		"demo --fleet --keep --no-prompt": {Fleet: true, Keep: true},
	} {
		if got := strings.Join(o.arguments(), " "); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
