package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// nodeDecoder is a type that reads more than one form of YAML.
type nodeDecoder interface {
	decodeNode(l *loader, key string, n *yaml.Node)
}

// loadFile applies the content of the file.
func (l *loader) loadFile(content []byte) {
	root, fault := parseDocument(content)
	if fault != nil {
		l.faults = append(l.faults, *fault)
		return
	}
	if root != nil {
		l.decode("", root, reflect.ValueOf(&l.config).Elem())
	}
}

// decode sets v, which is at key, to what n says. A null says nothing: sections whose keys are all commented out are
// nulls to YAML.
func (l *loader) decode(key string, n *yaml.Node, v reflect.Value) {
	if isNull(n) {
		return
	}
	l.origins[key] = l.originAt(n)
	if decoder, ok := v.Addr().Interface().(nodeDecoder); ok {
		decoder.decodeNode(l, key, n)
		return
	}
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(newEntry(v.Type().Elem()).Addr())
		l.decode(key, n, v.Elem())
	case isSection(v.Type()):
		l.decodeSection(key, n, v)
	case v.Kind() == reflect.Map:
		l.decodeMap(key, n, v)
	case v.Kind() == reflect.Slice:
		l.decodeList(key, n, v)
	default:
		l.decodeScalar(key, n, v)
	}
}

func (l *loader) decodeSection(key string, n *yaml.Node, v reflect.Value) {
	fields := fieldsOf(v.Type())
	for _, m := range l.members(key, n) {
		known := false
		for _, f := range fields {
			if f.name == m.name {
				l.decode(joinKey(key, m.name), m.value, v.Field(f.index))
				known = true
			}
		}
		if !known {
			best := l.nearestKey(key, m.name, fields)
			unknown := unknownKey(key, m.name)
			l.faultAt(l.originAt(m.key), unknown, "unknown key%s; the nearest valid name is %s",
				unknownValue(unknown, m.value, best), best)
		}
	}
}

// decodeMap replaces the whole map: entries of the base would otherwise stay in force unseen.
func (l *loader) decodeMap(key string, n *yaml.Node, v reflect.Value) {
	l.forget(key)
	entries := reflect.MakeMap(v.Type())
	for _, m := range l.members(key, n) {
		entry := newEntry(v.Type().Elem())
		l.origins[EntryKey(key, m.name)] = l.originAt(m.key)
		l.decode(EntryKey(key, m.name), m.value, entry)
		entries.SetMapIndex(reflect.ValueOf(m.name), entry)
	}
	v.Set(entries)
}

// newEntry returns a new value of type t, with the defaults of that type.
func newEntry(t reflect.Type) reflect.Value {
	entry := reflect.New(t)
	if d, ok := entry.Interface().(defaulter); ok {
		d.setDefaults()
	}
	return entry.Elem()
}

func (l *loader) decodeList(key string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		l.fault(key, "must be a list, not %s", describe(key, n))
		return
	}
	l.forget(key)
	list := reflect.Zero(v.Type())
	for i, child := range n.Content {
		at := indexKey(key, i)
		l.origins[at] = l.originAt(child)
		if isNull(child) {
			l.fault(at, "is empty")
			continue
		}
		element := newEntry(v.Type().Elem())
		l.decode(at, child, element)
		list = reflect.Append(list, element)
	}
	v.Set(list)
}

func (l *loader) decodeScalar(key string, n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.ScalarNode {
		l.fault(key, "must be %s, not %s", wanted(v), describe(key, n))
		return
	}
	if v.Kind() == reflect.String && n.ShortTag() == "!!bool" {
		l.fault(key, "must be text; put quotation marks around it")
		return
	}
	if message := setScalar(v, n.Value); message != "" {
		l.fault(key, "%s", message)
	}
}

// setScalar parses text into v, and returns what is wrong with it otherwise.
func setScalar(v reflect.Value, text string) string {
	if !utf8.ValidString(text) {
		return "is not UTF-8"
	}
	var err error
	switch target := v.Addr().Interface().(type) {
	case *time.Duration:
		var d time.Duration
		if d, err = time.ParseDuration(text); err == nil {
			*target = d
		}
	case *bool:
		switch strings.ToLower(text) {
		case "true", "false":
			*target = strings.EqualFold(text, "true")
		default:
			err = strconv.ErrSyntax
		}
	case *int:
		var i int
		if i, err = strconv.Atoi(text); err == nil {
			*target = i
		}
	case *netip.Prefix:
		var p netip.Prefix
		if p, err = netip.ParsePrefix(text); err == nil {
			*target = p
		}
	case encoding.TextUnmarshaler:
		if err = target.UnmarshalText([]byte(text)); err != nil {
			return fmt.Sprintf("%s %s", quote(text), err)
		}
	default:
		v.SetString(text)
	}
	if err != nil {
		return fmt.Sprintf("%s is not %s", quote(text), wanted(v))
	}
	return ""
}

// wanted describes what v holds.
func wanted(v reflect.Value) string {
	switch v.Addr().Interface().(type) {
	case *time.Duration:
		return "a duration such as 25s or 1m30s"
	case *bool:
		return "true or false"
	case *int:
		return "a whole number"
	case *netip.Prefix:
		return "a network such as 10.0.0.0/8"
	case *Size:
		return "a size such as 1MB or 1MiB"
	case *Share:
		return "a percentage such as 25% or a size such as 1MiB"
	case *Rate:
		return "a rate such as 2/s"
	}
	return "text"
}

// describe names the form of n, which is at key.
func describe(key string, n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	}
	if maySecret(key) || !strings.Contains(key, ".") {
		// A document or a section that is one text may be a secret in the place of it, such as a file with a password.
		return "text"
	}
	return quote(n.Value)
}

// quote shows a value in a message, shortened when it is long and without the secrets of a URL.
func quote(text string) string {
	if text = hideKey(text); strings.Contains(text, "://") {
		text = URL(text).String()
	}
	const longest = 60
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return strconv.Quote(text)
}

// member is one entry of a YAML mapping.
type member struct {
	name  string
	key   *yaml.Node
	value *yaml.Node
}

// members returns the entries of the mapping n at key, each name once.
func (l *loader) members(key string, n *yaml.Node) []member {
	if n.Kind != yaml.MappingNode {
		l.fault(key, "must be keys and values, not %s", describe(key, n))
		return nil
	}
	members := make([]member, 0, len(n.Content)/2)
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := l.originAt(name)
		first, twice := lines[name.Value]
		switch {
		case name.Kind != yaml.ScalarNode:
			l.faultAt(at, key, "a key must be text, not %s", describe(key, name))
		case name.ShortTag() == "!!merge":
			l.faultAt(at, key, "merge keys (<<) are not supported")
		case twice:
			l.faultAt(at, EntryKey(key, name.Value), "stands twice; the first is in line %d", first)
		default:
			lines[name.Value] = name.Line
			members = append(members, member{name.Value, name, value})
		}
	}
	return members
}

// originAt returns where n is written. Lines inside a variable would be taken for lines of the file, so they are left
// out.
func (l *loader) originAt(n *yaml.Node) origin {
	if l.variable != "" {
		return origin{variable: l.variable}
	}
	return origin{line: n.Line}
}

// forget drops what is known about the places inside key, which is being replaced as a whole.
func (l *loader) forget(key string) {
	for k := range l.origins {
		if strings.HasPrefix(k, key+".") || strings.HasPrefix(k, key+"[") {
			delete(l.origins, k)
		}
	}
}
