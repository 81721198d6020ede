package packet

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"

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
// its memory and must not be changed. Whole numbers may be spelled as 1.0 or 1e3, as clients do whose language has doubles
// only: they fit integers.
func Unmarshal(text []byte, attachments [][]byte, v any) error {
	err := unmarshal(text, attachments, v)
	if err == nil {
		return nil
	}
	if plain, changed := spellWhole(text); changed {
		return unmarshal(plain, attachments, v)
	}
	return err
}

// foreign are the types of encoding/json that the JSON package does not know.
var foreign = json.UnmarshalFromFunc(unmarshalNumber)

func unmarshal(text []byte, attachments [][]byte, v any) error {
	if len(attachments) == 0 {
		return json.Unmarshal(text, v, jsonv1.DefaultOptionsV1(), json.WithUnmarshalers(foreign))
	}
	s := source(attachments)
	return json.Unmarshal(text, v, jsonv1.DefaultOptionsV1(), json.WithUnmarshalers(json.JoinUnmarshalers(
		foreign,
		json.UnmarshalFromFunc(s.bytes),
		json.UnmarshalFromFunc(s.any),
	)))
}

// unmarshalNumber fills encoding/json's Number: from a number, or a string that spells one, and null leaves it alone.
func unmarshalNumber(dec *jsontext.Decoder, v *stdjson.Number) error {
	text, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch text.Kind() {
	case 'n':
		return nil
	case '0':
		*v = stdjson.Number(text)
		return nil
	case '"':
		if number := unquote(text); isNumber(number) {
			*v = stdjson.Number(number)
			return nil
		}
	}
	return fmt.Errorf("%s is no number", text.Kind())
}

func isNumber(text string) bool {
	if text == "" || text[0] != '-' && !isDigit(text[0]) {
		return false
	}
	end, err := validate([]byte(text), 0)
	return err == nil && end == len(text)
}

// spellWhole writes the whole numbers of a text without points and exponents, as far as a double holds them, and reports
// whether there were any.
func spellWhole(text []byte) (plain []byte, changed bool) {
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			end := skipString(text, i)
			plain = append(plain, text[i:end]...)
			i = end
		case c == '-' || isDigit(c):
			end := skipValue(text, i)
			number := text[i:end]
			i = end
			if !bytes.ContainsAny(number, ".eE") {
				plain = append(plain, number...)
				continue
			}
			f, err := strconv.ParseFloat(string(number), 64)
			if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1e21 { // from there on JavaScript has exponents too
				plain = append(plain, number...)
				continue
			}
			changed = true
			plain = strconv.AppendFloat(plain, f+0, 'f', -1, 64) // + 0: there is no integer -0
		default:
			plain = append(plain, c)
			i++
		}
	}
	return plain, changed
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
