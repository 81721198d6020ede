package policy

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"cel.dev/cel-go/common/types"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// noRemote refuses references out of a schema: a configuration is checked without a network.
type noRemote struct{}

// Load refuses every address.
func (noRemote) Load(url string) (any, error) {
	return nil, errors.New("a schema cannot refer to " + url + ": only references within it are followed")
}

// compileSchema compiles a JSON Schema of a list of arguments.
func compileSchema(v config.Value) (*jsonschema.Schema, error) {
	const name = "carillon:schema"
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(noRemote{})
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
	return schema, nil
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
		number := plainNumber([]byte(v.Text))
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

// maxInstance is how many values, at any depth, arguments may hold that a schema is asked about. The validator
// reports every value that does not fit at some 500 bytes each, however small the value is, and cannot be told to
// stop at the first.
const maxInstance = 20_000

var errInstance = fmt.Errorf("the arguments hold over %d values", maxInstance)

// validate asks a schema about a list of arguments.
func validate(schema *jsonschema.Schema, args raw) error {
	budget := maxInstance
	instance := args.instance(&budget)
	if budget < 0 {
		return errInstance
	}
	return schema.Validate(instance)
}

// instance is a client's value in the types the validator takes; it ends early when the budget of values is used up.
// Numbers are those expressions see, so that none is dear to calculate with. An attachment stands as its placeholder,
// an object.
func (v raw) instance(budget *int) any {
	if *budget--; *budget < 0 || len(v.text) == 0 {
		return nil
	}
	switch v.text[0] {
	case '{':
		object := make(map[string]any)
		members(v.text, func(name, value []byte) { object[unquote(name)] = raw{text: value}.instance(budget) })
		return object
	case '[':
		list := []any{}
		for _, item := range (packet.Args{JSON: v.text}).Split(nil) {
			list = append(list, raw{text: item}.instance(budget))
			if *budget < 0 {
				break
			}
		}
		return list
	case '"':
		return unquote(v.text)
	case 't', 'f':
		return v.text[0] == 't'
	case 'n':
		return nil
	}
	return plainNumber(v.text)
}

// plainNumber is nil for what is no number.
func plainNumber(text []byte) any {
	switch n := celNumber(text).(type) {
	case types.Int:
		return int64(n)
	case types.Double:
		// The validator calculates with fractions, and none is infinite.
		return max(-math.MaxFloat64, min(math.MaxFloat64, float64(n)))
	}
	return nil
}
