package packet

import (
	"hash/maphash"
	"math"
	"slices"
	"strconv"
)

// JSON lets an object repeat a name and a number be larger than any double, and readers disagree about both: parsers in
// Java and Rust refuse what JavaScript reads, and msgpack cannot say it. So that every member on every node receives
// the same, text of clients is handed on as JSON.stringify would write it where JSON.parse has read it: of equal names the
// last value counts, in the place of the first, and a number that no double can hold is null. All else stays as it was
// spelled.

var seed = maphash.MakeSeed()

// nameStack holds hashes of the names of the objects that have begun. Few of them take no memory of their own.
type nameStack struct {
	few   [32]uint64
	count int
	many  []uint64 // those behind few
}

func (s *nameStack) push(h uint64) {
	if s.count < len(s.few) {
		s.few[s.count] = h
	} else {
		s.many = append(s.many, h)
	}
	s.count++
}

// pop takes off all but base names, and reports whether two of them are equal.
func (s *nameStack) pop(base int) (repeated bool) {
	const compared = 8 // with each other; more are sorted
	room := len(s.few)
	var names []uint64
	switch {
	case s.count <= room:
		names = s.few[base:s.count]
	case base >= room:
		names = s.many[base-room:]
	default:
		names = append(append(make([]uint64, 0, s.count-base), s.few[base:]...), s.many...)
	}
	s.count = base
	s.many = s.many[:max(base-room, 0)]
	if len(names) > compared {
		slices.Sort(names)
		return len(slices.Compact(names)) < len(names)
	}
	for i := range names {
		if slices.Contains(names[i+1:], names[i]) {
			return true
		}
	}
	return false
}

// hashName hashes the name that stands between the quotes of a string literal.
func hashName(literal []byte) uint64 {
	name := literal[1 : len(literal)-1]
	if slices.Contains(name, '\\') {
		return maphash.String(seed, unquote(literal))
	}
	return maphash.Bytes(seed, name)
}

// isHuge reports whether a number is beyond the range of a double.
func isHuge(number []byte) bool {
	f, _ := strconv.ParseFloat(string(number), 64)
	return math.IsInf(f, 0)
}

// mayBeHuge reports whether isHuge has to look: a number with less than three digits in its exponent needs very many
// others.
func mayBeHuge(length, exponentDigits int) bool { return exponentDigits > 2 || length > 200 }

// normalize returns valid text without equal names in an object and without numbers beyond a double.
func normalize(text []byte) []byte {
	n := normalizer{text: text, out: make([]byte, 0, len(text))}
	n.value(0)
	return n.out
}

// normalizer's methods write what begins at index i of text and return the index behind it.
type normalizer struct{ text, out []byte }

func (n *normalizer) value(i int) int {
	switch c := n.text[i]; {
	case c == '{':
		return n.object(i)
	case c == '[':
		return n.array(i)
	case c == '-' || isDigit(c):
		end := skipValue(n.text, i)
		if number := n.text[i:end]; isHuge(number) {
			n.out = append(n.out, "null"...)
		} else {
			n.out = append(n.out, number...)
		}
		return end
	}
	end := skipValue(n.text, i)
	n.out = append(n.out, n.text[i:end]...)
	return end
}

func (n *normalizer) array(i int) int {
	n.out = append(n.out, '[')
	for i = skipSpace(n.text, i+1); n.text[i] != ']'; {
		if i = skipSpace(n.text, n.value(i)); n.text[i] == ',' {
			n.out = append(n.out, ',')
			i = skipSpace(n.text, i+1)
		}
	}
	n.out = append(n.out, ']')
	return i + 1
}

// written is a member as it stands in out.
type written struct {
	name       string
	start, end int
}

func (n *normalizer) object(i int) int {
	start := len(n.out)
	var members []written          // each name once, in the place of the first
	byName := make(map[string]int) // index in members
	repeated := false
	n.out = append(n.out, '{')
	for i = skipSpace(n.text, i+1); n.text[i] != '}'; {
		nameEnd := skipString(n.text, i)
		m := written{name: unquote(n.text[i:nameEnd]), start: len(n.out)}
		n.out = append(append(n.out, n.text[i:nameEnd]...), ':')
		colon := skipSpace(n.text, nameEnd)
		i = skipSpace(n.text, n.value(skipSpace(n.text, colon+1)))
		m.end = len(n.out)
		if at, found := byName[m.name]; found {
			members[at] = m
			repeated = true
		} else {
			byName[m.name] = len(members)
			members = append(members, m)
		}
		if n.text[i] == ',' {
			n.out = append(n.out, ',')
			i = skipSpace(n.text, i+1)
		}
	}
	n.out = append(n.out, '}')
	if repeated {
		n.rebuild(start, members)
	}
	return i + 1
}

// rebuild writes the object that begins at start in out anew, of these members.
func (n *normalizer) rebuild(start int, members []written) {
	all := slices.Clone(n.out[start:])
	n.out = append(n.out[:start], '{')
	for i, m := range members {
		if i > 0 {
			n.out = append(n.out, ',')
		}
		n.out = append(n.out, all[m.start-start:m.end-start]...)
	}
	n.out = append(n.out, '}')
}
