package config

import (
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// nodeEncoder is a type that prints as more than a word.
type nodeEncoder interface {
	encodeNode() *yaml.Node
}

// Print writes the configuration as a file, in the documented order and with secrets masked. But for the masks, what it
// writes loads as the same configuration.
func (c *Config) Print(w io.Writer) error {
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(encode(reflect.ValueOf(c).Elem())); err != nil {
		return fmt.Errorf("config: print: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return fmt.Errorf("config: print: %w", err)
	}
	return nil
}

func encode(v reflect.Value) *yaml.Node {
	if encoder, ok := v.Interface().(nodeEncoder); ok {
		return encoder.encodeNode()
	}
	switch {
	case v.Kind() == reflect.Pointer:
		return encode(v.Elem())
	case isSection(v.Type()):
		return encodeSection(v)
	case v.Kind() == reflect.Map:
		n := &yaml.Node{Kind: yaml.MappingNode}
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, name := range names {
			n.Content = append(n.Content, stringNode(name.String()), encode(v.MapIndex(name)))
		}
		return n
	case v.Kind() == reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if !isSection(v.Type().Elem()) {
			n.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			n.Content = append(n.Content, encode(v.Index(i)))
		}
		return n
	}
	return encodeScalar(v)
}

func encodeSection(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range fieldsOf(v.Type()) {
		if value := v.Field(f.index); !f.omitEmpty || !value.IsZero() {
			n.Content = append(n.Content, stringNode(f.name), encode(value))
		}
	}
	return n
}

func encodeScalar(v reflect.Value) *yaml.Node {
	switch value := v.Interface().(type) {
	case time.Duration:
		return plainNode(formatDuration(value))
	case bool:
		return plainNode(strconv.FormatBool(value))
	case int:
		return plainNode(strconv.Itoa(value))
	case Size:
		return plainNode(value.String())
	case fmt.Stringer:
		return stringNode(value.String())
	}
	return stringNode(hideKey(v.String()))
}

// stringNode is text that no reader of YAML takes for anything else.
func stringNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

// plainNode is text without quotation marks: a number, a truth value, a duration.
func plainNode(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: text}
}
