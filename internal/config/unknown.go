package config

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// unknownKey is the path of an unknown key. Where a colon has no space behind it, the value has become part of the name, and
// is left out.
func unknownKey(section, name string) string {
	if i := strings.IndexAny(name, ":= "); i > 0 {
		name = name[:i] + "…"
	}
	return EntryKey(section, name)
}

// unknownValue shows the scalar n of an unknown key, unless the key's place, its name, or the name that was probably meant is
// that of a secret.
func unknownValue(key string, n *yaml.Node, best string) string {
	if n.Kind != yaml.ScalarNode || isNull(n) || maySecret(key) || maySecret(best) {
		return ""
	}
	return " with value " + quote(n.Value)
}

// otherNames are words that people use for keys of ours, far from them by letters.
var otherNames = map[string]string{
	"pw": "password", "pwd": "password", "pass": "password", "user": "username", "login": "username", "uri": "url", "dsn": "url",
	"host": "address", "hosts": "addresses", "port": "address", "cors": "origins",
}

// nearestKey returns what was probably meant by name in the section at key: one of the section's fields, or the same
// name where it exists.
func (l *loader) nearestKey(key, name string, fields []field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	if other := otherNames[foldName(name)]; slices.Contains(names, other) {
		return joinKey(key, other)
	}
	best := nearest(name, names)
	if editDistance(foldName(name), foldName(best)) > 2 {
		for _, setting := range leaves(&l.config) {
			for i, known := range setting.names {
				if foldName(known) == foldName(name) {
					return strings.Join(setting.names[:i+1], ".")
				}
			}
		}
	}
	return joinKey(key, best)
}

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
