package lib

import (
	"slices"

	"github.com/moongate-vpn/moongate/mgmt/nearest"
)

// maxShort is how much of a name is told in an error, in bytes.
const maxShort = 64

// Short is a name as errors tell it: it may be as long as a string of the script.
func Short(name string) string { return Clip(name, maxShort) }

// Clip is a text of at most so many bytes, and "…" in the place of what follows.
func Clip(text string, most int) string {
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// DidYouMean is "; did you mean NAME?" for the name that is nearest to word, or "" when none is near.
func DidYouMean(word string, names []string) string {
	best := nearest.Name(word, slices.Sorted(slices.Values(names)), max(2, len(word)/3))
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}
