package expression

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"github.com/carillon-io/carillon/internal/celjson"
)

// segment is a piece of a template: literal text, or the source of an expression.
type segment struct {
	text       string
	expression bool
}

// splitTemplate takes a string with ${…} in it apart. $${ stands for the characters ${.
func splitTemplate(s string) ([]segment, error) {
	var segments []segment
	var literal strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			break
		}
		if i > 0 && s[i-1] == '$' {
			literal.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		literal.WriteString(s[:i])
		if literal.Len() > 0 {
			segments = append(segments, segment{text: literal.String()})
			literal.Reset()
		}
		end := expressionEnd(s[i+2:])
		if end < 0 {
			return nil, errors.New("${ without its }")
		}
		segments = append(segments, segment{text: s[i+2 : i+2+end], expression: true})
		s = s[i+2+end+1:]
	}
	literal.WriteString(s)
	if literal.Len() > 0 {
		segments = append(segments, segment{text: literal.String()})
	}
	return segments, nil
}

// expressionEnd is where in s the } stands that closes an expression: not one of a map, nor one inside a string. -1
// when there is none.
func expressionEnd(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		case '"', '\'':
			quoted := celStringLength(s[i:], i > 0 && strings.ContainsRune("rR", rune(s[i-1])))
			if quoted < 0 {
				return -1
			}
			i += quoted - 1
		}
	}
	return -1
}

// celStringLength is how long the CEL string is that s begins with, quotes included; -1 when it does not end.
func celStringLength(s string, verbatim bool) int {
	quote := s[:1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s, triple) {
		quote = triple
	}
	for i := len(quote); i < len(s); i++ {
		if s[i] == '\\' && !verbatim {
			i++
		} else if strings.HasPrefix(s[i:], quote) {
			return i + len(quote)
		}
	}
	return -1
}

// Template is a string with expressions in it. It is a constant when it holds none, and whole when it is nothing but
// one.
type Template struct {
	parts []part
}

// part is literal text, or an expression.
type part struct {
	text       string
	expression *Expression
}

// Text returns a template that is a constant.
func Text(s string) *Template { return &Template{[]part{{text: s}}} }

// CompileTemplate compiles s. Where an expression is only a part of it, its value must be able to stand in text.
func CompileTemplate(env *cel.Env, s string) (*Template, error) {
	segments, err := splitTemplate(s)
	if err != nil {
		return nil, err
	}
	t := &Template{}
	for _, s := range segments {
		if !s.expression {
			t.parts = append(t.parts, part{text: s.text})
			continue
		}
		e, err := Compile(env, s.text)
		if err != nil {
			return nil, err
		}
		t.parts = append(t.parts, part{expression: e})
	}
	if t.Whole() == nil {
		for _, p := range t.parts {
			if p.expression != nil && !hasText(p.expression.kind) {
				return nil, errors.New("a value of type " + p.expression.kind.String() + " cannot be put into text")
			}
		}
	}
	return t, nil
}

// hasText reports whether a value of that type may be put into text.
func hasText(t *cel.Type) bool {
	switch t.Kind() {
	case cel.StringKind, cel.IntKind, cel.UintKind, cel.DoubleKind, cel.BoolKind, cel.DynKind:
		return true
	}
	return false
}

// Whole is the expression a template consists of; nil when there is text around it.
func (t *Template) Whole() *Expression {
	if len(t.parts) == 1 {
		return t.parts[0].expression
	}
	return nil
}

// Constant is the text of a template without expressions.
func (t *Template) Constant() (string, bool) {
	switch {
	case len(t.parts) == 0:
		return "", true
	case len(t.parts) == 1 && t.parts[0].expression == nil:
		return t.parts[0].text, true
	}
	return "", false
}

// Text evaluates the template as text.
func (t *Template) Text(a *Activation) (s string, err error) {
	defer celjson.Cancelled(&err)
	if s, ok := t.Constant(); ok {
		return s, nil
	}
	var text []byte
	for _, p := range t.parts {
		if p.expression == nil {
			text = append(text, p.text...)
			continue
		}
		v, err := p.expression.eval(a)
		if err != nil {
			return "", err
		}
		if text, err = celjson.AppendText(text, v, &a.Budget); err != nil {
			return "", err
		}
	}
	return string(text), nil
}

// Name evaluates the template as the name of an event: a whole one must have a string as its value.
func (t *Template) Name(a *Activation) (name string, err error) {
	defer celjson.Cancelled(&err)
	whole := t.Whole()
	if whole == nil {
		return t.Text(a)
	}
	v, err := whole.eval(a)
	if err != nil {
		return "", err
	}
	text, ok := v.(types.String)
	if !ok {
		return "", fmt.Errorf("a value of type %s names no event", v.Type().TypeName())
	}
	return string(text), nil
}
