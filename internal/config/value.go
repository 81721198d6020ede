package config

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// Kind says what a Value is.
type Kind uint8

// The kinds. Absent is the zero Value: nothing was written.
const (
	Absent Kind = iota
	Null
	Bool
	Int
	Float
	String
	List
	Map
)

// Value is a piece of the policy as it was written: nothing in it has been compiled or replaced.
type Value struct {
	Kind Kind
	// Text is the scalar: true or false of a Bool, the JSON spelling of an Int or Float, a String's characters.
	Text string
	// List holds a List's elements.
	List []Value
	// Map holds a Map's members in the order written; no key stands twice.
	Map []Member
	// Line in the configuration file; zero when the value came from elsewhere.
	Line int
}

// Member is one entry of a Map.
type Member struct {
	Key   string
	Value Value
}

// AppendJSON appends v as JSON, members in the order written. An absent value is null.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.Kind {
	case Bool, Int, Float:
		return append(dst, v.Text...)
	case String:
		return appendJSONString(dst, v.Text)
	case List:
		dst = append(dst, '[')
		for i, element := range v.List {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = element.AppendJSON(dst)
		}
		return append(dst, ']')
	case Map:
		dst = append(dst, '{')
		for i, m := range v.Map {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendJSONString(dst, m.Key), ':')
			dst = m.Value.AppendJSON(dst)
		}
		return append(dst, '}')
	}
	return append(dst, "null"...)
}

func appendJSONString(dst []byte, text string) []byte {
	// Text from a configuration is UTF-8, the only thing that could be refused here.
	dst, _ = jsontext.AppendQuote(dst, text)
	return dst
}

func (v *Value) decodeNode(l *loader, key string, n *yaml.Node) {
	*v = Value{Line: l.originAt(n).line}
	switch n.Kind {
	case yaml.SequenceNode:
		v.Kind = List
		v.List = make([]Value, len(n.Content))
		for i, child := range n.Content {
			l.origins[indexKey(key, i)] = l.originAt(child)
			v.List[i].decodeNode(l, indexKey(key, i), child)
		}
	case yaml.MappingNode:
		v.Kind = Map
		for _, m := range l.members(key, n) {
			member := Member{Key: m.name}
			l.origins[EntryKey(key, m.name)] = l.originAt(m.key)
			member.Value.decodeNode(l, EntryKey(key, m.name), m.value)
			v.Map = append(v.Map, member)
		}
	default:
		v.decodeScalar(l, key, n)
	}
}

func (v Value) encodeNode() *yaml.Node {
	switch v.Kind {
	case List:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, element := range v.List {
			n.Content = append(n.Content, element.encodeNode())
		}
		return n
	case Map:
		n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, m := range v.Map {
			n.Content = append(n.Content, stringNode(m.Key), m.Value.encodeNode())
		}
		return n
	case String:
		return stringNode(v.Text)
	case Bool, Int, Float:
		return plainNode(v.Text)
	}
	return plainNode("null")
}

func (v *Value) decodeScalar(l *loader, key string, n *yaml.Node) {
	v.Text = n.Value
	switch n.ShortTag() {
	case "!!null":
		v.Kind, v.Text = Null, ""
	case "!!bool":
		v.Kind, v.Text = Bool, strings.ToLower(n.Value)
	case "!!int", "!!float":
		v.Kind = Int
		if n.ShortTag() == "!!float" {
			v.Kind = Float
		}
		if !isJSONNumber(n.Value) {
			v.Text = decimal(n)
		}
		if v.Text == "" {
			l.fault(key, "%s is not a number JSON knows", quote(n.Value))
		}
	default:
		v.Kind = String
	}
}

func isJSONNumber(text string) bool {
	return strings.Trim(text, "-+.eE0123456789") == "" && json.Valid([]byte(text))
}

// decimal returns the JSON spelling of a number YAML spells otherwise, such as 0x1F, 1_000 or .5; nothing for those
// without one.
func decimal(n *yaml.Node) string {
	if n.ShortTag() == "!!int" {
		var i int64
		if n.Decode(&i) == nil {
			return strconv.FormatInt(i, 10)
		}
		var u uint64
		if n.Decode(&u) == nil {
			return strconv.FormatUint(u, 10)
		}
	}
	var f float64
	if n.Decode(&f) != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return ""
	}
	text := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

// Expression is CEL source as written. The zero Expression means none was given.
type Expression struct {
	Source string
	// Line in the configuration file where the expression begins; zero when it came from elsewhere.
	Line int
}

func (e *Expression) decodeNode(l *loader, key string, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		l.fault(key, "must be an expression, not %s", describe(key, n))
		return
	}
	if strings.TrimSpace(n.Value) == "" {
		l.fault(key, "is empty")
		return
	}
	*e = Expression{Source: n.Value, Line: l.originAt(n).line}
	if e.Line > 0 && n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		// The node stands where its | or > does; the text begins below.
		e.Line++
	}
}

func (e Expression) encodeNode() *yaml.Node { return stringNode(e.Source) }

// Patterns are the event names a rule is for: a name, a prefix ending in *, or * alone. In the file one pattern may
// stand without a list.
type Patterns []string

func (p *Patterns) decodeNode(l *loader, key string, n *yaml.Node) {
	children := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		children = n.Content
	}
	*p = nil
	for i, child := range children {
		at := key
		if n.Kind == yaml.SequenceNode {
			at = indexKey(key, i)
			l.origins[at] = l.originAt(child)
		}
		if child.Kind != yaml.ScalarNode || isNull(child) {
			l.fault(at, "must be the name of an event, not %s", describe(at, child))
			continue
		}
		*p = append(*p, child.Value)
	}
}

func (p Patterns) encodeNode() *yaml.Node {
	if len(p) == 1 {
		return stringNode(p[0])
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, pattern := range p {
		n.Content = append(n.Content, stringNode(pattern))
	}
	return n
}
