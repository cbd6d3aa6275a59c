// Package suggest finds the known word that a misspelled word most likely means, for
// "did you mean" hints. It compares by edit distance (Damerau-Levenshtein, optimal string
// alignment) and ignores case.
package suggest

import "strings"

// Closest returns the candidate with the smallest edit distance to word, or "" when none is
// close enough: at most half of the letters of word may differ. Of several equally close
// candidates it returns the first in alphabetical order.
func Closest(word string, candidates []string) string {
	best, limit := "", len(word)/2+1
	for _, candidate := range candidates {
		n := distance(strings.ToLower(word), strings.ToLower(candidate))
		if n < limit || n == limit && best != "" && candidate < best {
			best, limit = candidate, n
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbouring bytes
// that turn a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(replace, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
