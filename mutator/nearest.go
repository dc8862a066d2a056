package mutator

import "strings"

// nearest returns the candidate that a mistyped word most probably means, or
// "" if none is near: at most two typing errors, and fewer than half of the
// word. Case counts little.
func nearest(word string, candidates []string) string {
	best, bestDistance := "", min(3, len(word)/2+1)
	for _, candidate := range candidates {
		if strings.EqualFold(word, candidate) {
			return candidate
		}
		if distance := editDistance(strings.ToLower(word), strings.ToLower(candidate)); distance < bestDistance {
			best, bestDistance = candidate, distance
		}
	}
	return best
}

// editDistance counts the insertions, deletions and replacements between two
// words. Words that differ much in length are not compared letter by letter:
// hostile keys can be long.
func editDistance(a, b string) int {
	if difference := len(a) - len(b); difference > 3 || difference < -3 {
		return max(len(a), len(b))
	}
	previous := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		current := make([]int, len(b)+1)
		current[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			current[j+1] = min(previous[j+1]+1, current[j]+1, previous[j]+cost)
		}
		previous = current
	}
	return previous[len(b)]
}
