package config

import "strings"

// nearest returns the candidate that takes the fewest edits to become of name; the first of several. Case and the
// difference between ping_interval, pingInterval and ping-interval count for nothing.
func nearest(name string, candidates []string) string {
	name = foldName(name)
	best, bestDistance := "", 0
	for _, c := range candidates {
		if d := editDistance(name, foldName(c)); best == "" || d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

func foldName(name string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
}

// editDistance is the number of characters to insert, delete, replace or swap with their neighbour. Names beyond any
// that exist are cut, which bounds the work.
func editDistance(a, b string) int {
	const longest = 80
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	// Rows of the table for the prefixes of a that are two, one and no characters shorter than the current one.
	var beforeLast, last, row [longest + 1]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			replace := last[j]
			if a[i] != b[j] {
				replace++
			}
			row[j+1] = min(replace, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], beforeLast[j-1]+1)
			}
		}
		beforeLast, last = last, row
	}
	return last[len(b)]
}
