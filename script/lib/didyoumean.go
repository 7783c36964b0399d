package lib

import (
	"slices"

	"github.com/moongate-vpn/moongate/mgmt/nearest"
)

// DidYouMean is "; did you mean NAME?" for the name that is nearest to word, or "" when none is near.
func DidYouMean(word string, names []string) string {
	best := nearest.Name(word, slices.Sorted(slices.Values(names)), max(2, len(word)/3))
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}
