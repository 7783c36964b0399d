// Package nearest finds the name that was meant by a misspelt one.
package nearest

// longest is how many bytes of a word are worth a comparison; longer ones are near nothing.
const longest = 64

// Name returns the first of names that differs least from word, by at most edits inserted, deleted, replaced or swapped bytes and by no more than half of
// the word; "" when none does.
func Name(word string, names []string, edits int) string {
	best := ""
	if len(word) > longest {
		return best
	}
	edits = min(edits, len(word)/2)
	for _, n := range names {
		if d := distance(word, n); d <= edits {
			best, edits = n, d-1
		}
	}
	return best
}

func distance(a, b string) int {
	if len(a) > longest || len(b) > longest {
		return longest + 1
	}
	var d [longest + 1][longest + 1]int
	for i := range len(a) + 1 {
		d[i][0] = i
	}
	for j := range len(b) + 1 {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
