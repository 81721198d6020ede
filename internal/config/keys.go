package config

import (
	"encoding"
	"reflect"
	"strconv"
	"strings"
)

// field is one key of a struct in the tree.
type field struct {
	name      string
	index     int
	live      bool
	omitEmpty bool
}

// fieldsOf returns the keys of the struct type t in the order they are declared.
func fieldsOf(t reflect.Type) []field {
	fields := make([]field, t.NumField())
	for i := range fields {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("key"), ",")
		fields[i] = field{
			name:      name,
			index:     i,
			live:      options == "live",
			omitEmpty: options == "omitempty",
		}
	}
	return fields
}

var (
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	nodeDecoderType     = reflect.TypeFor[nodeDecoder]()
)

// isSection reports whether values of type t hold further keys instead of being written as one value.
func isSection(t reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	return t.Kind() == reflect.Struct && !pointer.Implements(textUnmarshalerType) && !pointer.Implements(nodeDecoderType)
}

// leaf is one setting: a key that holds no further fixed keys.
type leaf struct {
	// names lead from the top to the setting.
	names []string
	value reflect.Value
	live  bool
}

// key returns the path as users write it.
func (l leaf) key() string { return strings.Join(l.names, ".") }

// leaves returns every setting of c in order. Routes and namespaces are one setting each.
func leaves(c *Config) []leaf {
	return appendLeaves(nil, leaf{value: reflect.ValueOf(c).Elem()})
}

func appendLeaves(dst []leaf, section leaf) []leaf {
	for _, f := range fieldsOf(section.value.Type()) {
		child := leaf{
			names: append(section.names[:len(section.names):len(section.names)], f.name),
			value: section.value.Field(f.index),
			live:  section.live || f.live,
		}
		if isSection(child.value.Type()) {
			dst = appendLeaves(dst, child)
		} else {
			dst = append(dst, child)
		}
	}
	return dst
}

// joinKey returns the path of the key name below parent.
func joinKey(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// EntryKey returns the path of an entry of the map at parent, as faults name it: routes.orders, namespaces["/"].
func EntryKey(parent, name string) string {
	if name == "" {
		return parent + `[""]`
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return parent + "[" + strconv.Quote(name) + "]"
		}
	}
	return joinKey(parent, name)
}

// indexKey returns the path of element i of the list at parent.
func indexKey(parent string, i int) string {
	return parent + "[" + strconv.Itoa(i) + "]"
}

// parentKey returns the path of what the key at path stands in; false at the top. A quoted name may itself hold dots
// and brackets, so a path that ends in one is cut before its quotation mark.
func parentKey(path string) (string, bool) {
	if quoted, ok := strings.CutSuffix(path, `"]`); ok {
		path = quoted
		for {
			i := strings.LastIndexByte(path, '"')
			if i <= 0 {
				return "", false
			}
			path = path[:i]
			if path[i-1] == '[' {
				return path[:i-1], true
			}
		}
	}
	i := strings.LastIndexAny(path, ".[")
	if i < 0 {
		return "", false
	}
	return path[:i], true
}

// RestartKeys returns the keys that differ between two configurations and take effect only after a restart, in order.
func RestartKeys(before, after Config) []string {
	var keys []string
	changed := leaves(&after)
	for i, setting := range leaves(&before) {
		if !setting.live && !reflect.DeepEqual(setting.value.Interface(), changed[i].value.Interface()) {
			keys = append(keys, setting.key())
		}
	}
	return keys
}
