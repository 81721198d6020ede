package packet

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// ErrNoArgument: the list has no element of that index.
var ErrNoArgument = errors.New("packet: no such argument")

// Unmarshal decodes element i into v, a pointer, as encoding/json does. Attachments fill []byte and any.
// Without such an element the error is ErrNoArgument.
func (a Args) Unmarshal(i int, v any) error {
	text, ok := a.At(i)
	if !ok {
		return fmt.Errorf("packet: decode argument %d: %w", i, ErrNoArgument)
	}
	if err := Unmarshal(text, a.Attachments, v); err != nil {
		return fmt.Errorf("packet: decode argument %d: %w", i, err)
	}
	return nil
}

// Values decodes the whole list: objects as map[string]any, numbers as float64, attachments as []byte.
func (a Args) Values() ([]any, error) {
	if len(a.JSON) == 0 {
		return nil, nil
	}
	var values []any
	if err := Unmarshal(a.JSON, a.Attachments, &values); err != nil {
		return nil, fmt.Errorf("packet: decode arguments: %w", err)
	}
	return values, nil
}

// Unmarshal decodes JSON text, whose placeholders number attachments, into v. A []byte filled from an attachment shares
// its memory and must not be changed.
func Unmarshal(text []byte, attachments [][]byte, v any) error {
	if len(attachments) == 0 {
		return json.Unmarshal(text, v, jsonv1.DefaultOptionsV1())
	}
	s := source(attachments)
	return json.Unmarshal(text, v, jsonv1.DefaultOptionsV1(), json.WithUnmarshalers(json.JoinUnmarshalers(
		json.UnmarshalFromFunc(s.bytes),
		json.UnmarshalFromFunc(s.any),
	)))
}

// source decodes what may stand for one of the attachments.
type source [][]byte

func (s source) bytes(dec *jsontext.Decoder, v *[]byte) error {
	if dec.PeekKind() != '{' {
		return errors.ErrUnsupported
	}
	text, err := dec.ReadValue()
	if err != nil {
		return err
	}
	num, rest, ok := CutPlaceholder(text)
	if !ok || len(rest) > 0 || num >= len(s) {
		return errors.New("object where an attachment belongs")
	}
	*v = s[num]
	return nil
}

func (s source) any(dec *jsontext.Decoder, v *any) (err error) {
	*v, err = s.value(dec)
	return err
}

// value builds the tree of the next value.
func (s source) value(dec *jsontext.Decoder) (any, error) {
	token, err := dec.ReadToken()
	if err != nil {
		return nil, err
	}
	switch token.Kind() {
	case '{':
		return s.object(dec)
	case '[':
		return s.array(dec)
	case '"':
		return token.String(), nil
	case '0':
		return token.Float()
	case 'n':
		return nil, nil
	default:
		return token.Bool(), nil
	}
}

func (s source) object(dec *jsontext.Decoder) (any, error) {
	members := make(map[string]any)
	for dec.PeekKind() != '}' {
		name, err := dec.ReadToken()
		if err != nil {
			return nil, err
		}
		key := name.String()
		if members[key], err = s.value(dec); err != nil {
			return nil, err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return nil, err
	}
	if members["_placeholder"] == true {
		if num, ok := members["num"].(float64); ok && num >= 0 && num < float64(len(s)) {
			return s[int(num)], nil
		}
	}
	return members, nil
}

func (s source) array(dec *jsontext.Decoder) (any, error) {
	elements := []any{}
	for dec.PeekKind() != ']' {
		element, err := s.value(dec)
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
	}
	_, err := dec.ReadToken()
	return elements, err
}
