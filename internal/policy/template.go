package policy

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
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

// template is a string with expressions in it. It is a constant when it holds none, and whole when it is nothing but
// one.
type template struct {
	parts []part
}

// part is literal text, or an expression.
type part struct {
	text       string
	expression *expression
}

// compileTemplate compiles s. Where an expression is only a part of it, its value must be able to stand in text.
func compileTemplate(env *cel.Env, s string) (*template, error) {
	segments, err := splitTemplate(s)
	if err != nil {
		return nil, err
	}
	t := &template{}
	for _, s := range segments {
		if !s.expression {
			t.parts = append(t.parts, part{text: s.text})
			continue
		}
		e, err := compileExpression(env, s.text)
		if err != nil {
			return nil, err
		}
		t.parts = append(t.parts, part{expression: e})
	}
	if t.whole() == nil {
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

// whole is the expression a template consists of; nil when there is text around it.
func (t *template) whole() *expression {
	if len(t.parts) == 1 {
		return t.parts[0].expression
	}
	return nil
}

// constant is the text of a template without expressions.
func (t *template) constant() (string, bool) {
	switch {
	case len(t.parts) == 0:
		return "", true
	case len(t.parts) == 1 && t.parts[0].expression == nil:
		return t.parts[0].text, true
	}
	return "", false
}

// text evaluates the template as text.
func (t *template) text(a *activation) (string, error) {
	if s, ok := t.constant(); ok {
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
		if text, err = appendText(text, v); err != nil {
			return "", err
		}
	}
	return string(text), nil
}

// name evaluates the template as the name of an event: a whole one must have a string as its value.
func (t *template) name(a *activation) (string, error) {
	whole := t.whole()
	if whole == nil {
		return t.text(a)
	}
	v, err := whole.eval(a)
	if err != nil {
		return "", err
	}
	name, ok := v.(types.String)
	if !ok {
		return "", fmt.Errorf("a value of type %s names no event", v.Type().TypeName())
	}
	return string(name), nil
}
