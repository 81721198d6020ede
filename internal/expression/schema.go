package expression

import (
	"errors"
	"fmt"
	"strings"

	"github.com/carillon-io/carillon/internal/celjson"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// noRemote refuses references out of a schema: a configuration is checked without a network.
type noRemote struct{}

// Load refuses every address.
func (noRemote) Load(url string) (any, error) {
	return nil, errors.New("a schema cannot refer to " + url + ": only references within it are followed")
}

// Schema is a JSON Schema of a list of arguments.
type Schema struct {
	schema   *jsonschema.Schema
	patterns int // instructions of all regular expressions in it
}

// CompileSchema compiles a JSON Schema of a list of arguments.
func CompileSchema(v config.Value) (*Schema, error) {
	const name = "carillon:schema"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noRemote{})
	patterns := 0
	compiler.UseRegexpEngine(func(pattern string) (jsonschema.Regexp, error) {
		compiled, size, err := celjson.CompileRegexp(pattern)
		patterns += size
		return compiled, err
	})
	document, err := plain(v)
	if err != nil {
		return nil, err
	}
	if err := compiler.AddResource(name, document); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	schema, err := compiler.Compile(name)
	if err != nil {
		return nil, errors.New("schema: " + oneLine(err.Error()))
	}
	return &Schema{schema, patterns}, nil
}

// valueCost is what a value costs that a schema is asked about, in units of the budget. The validator reports every value
// that does not fit at some 500 bytes each, however small the value is, and cannot be told to stop at the first.
const valueCost = 20

// Validate asks the schema about a list of arguments.
func (s *Schema) Validate(a *Activation) (err error) {
	defer celjson.Cancelled(&err)
	return s.schema.Validate(a.argsArray().Plain(&a.Budget, valueCost, s.patterns))
}

// oneLine puts an indented list of causes into one line, as every fault has.
func oneLine(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = strings.TrimLeft(line, " -")
	}
	return strings.Join(lines, "; ")
}

// plain is a configuration value in the types the schema compiler takes.
func plain(v config.Value) (any, error) {
	switch v.Kind {
	case config.Bool:
		return v.Text == "true", nil
	case config.Int, config.Float:
		number := celjson.PlainNumber([]byte(v.Text))
		if number == nil {
			return nil, fmt.Errorf("schema: bad number %s", v.Text)
		}
		return number, nil
	case config.String:
		return v.Text, nil
	case config.List:
		list := make([]any, len(v.List))
		for i, element := range v.List {
			var err error
			if list[i], err = plain(element); err != nil {
				return nil, err
			}
		}
		return list, nil
	case config.Map:
		object := make(map[string]any, len(v.Map))
		for _, m := range v.Map {
			value, err := plain(m.Value)
			if err != nil {
				return nil, err
			}
			object[m.Key] = value
		}
		return object, nil
	}
	return nil, nil
}
