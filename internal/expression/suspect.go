package expression

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/parser"
)

// Suspicions says what an expression can hardly be meant to do.
func (e *Expression) Suspicions() []string {
	var found []string
	note := func(format string, args ...any) {
		if text := fmt.Sprintf(format, args...); !slices.Contains(found, text) {
			found = append(found, text)
		}
	}
	info := e.checked.NativeRep().SourceInfo()
	ast.PreOrderVisit(e.checked.NativeRep().Expr(), ast.NewExprVisitor(func(x ast.Expr) {
		switch x.Kind() {
		case ast.SelectKind:
			if s := x.AsSelect(); isVariable(s.Operand(), "headers") {
				noteHeader(note, s.FieldName())
			}
		case ast.CallKind:
			call := x.AsCall()
			args := call.Args()
			if len(args) != 2 {
				return
			}
			switch name := call.FunctionName(); name {
			case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater,
				operators.GreaterEquals, operators.LogicalAnd, operators.LogicalOr, operators.In:
				left, err := parser.Unparse(args[0], info)
				right, errRight := parser.Unparse(args[1], info)
				if err == nil && errRight == nil && left == right && usesVariable(args[0]) {
					note("compares %s with itself", left)
				}
				if name == operators.In && isVariable(args[1], "headers") {
					noteLiteralHeader(note, args[0])
				}
			case operators.Index:
				if isVariable(args[0], "headers") {
					noteLiteralHeader(note, args[1])
				}
			}
		}
	}))
	return found
}

// IsConstant reports whether the value is the same for every client and every event.
func (e *Expression) IsConstant() bool { return !usesVariable(e.checked.NativeRep().Expr()) }

// Is reports whether the expression is that variable and nothing else.
func (e *Expression) Is(variable string) bool {
	return isVariable(e.checked.NativeRep().Expr(), variable)
}

func isVariable(x ast.Expr, name string) bool {
	return x.Kind() == ast.IdentKind && x.AsIdent() == name
}

// usesVariable reports whether a variable of some place is in x.
func usesVariable(x ast.Expr) bool {
	found := false
	ast.PreOrderVisit(x, ast.NewExprVisitor(func(x ast.Expr) {
		found = found || x.Kind() == ast.IdentKind && slices.ContainsFunc(variables, func(v variable) bool { return v.name == x.AsIdent() })
	}))
	return found
}

func noteLiteralHeader(note func(string, ...any), x ast.Expr) {
	if x.Kind() == ast.LiteralKind {
		if name, ok := x.AsLiteral().(types.String); ok {
			noteHeader(note, string(name))
		}
	}
}

func noteHeader(note func(string, ...any), name string) {
	if lower := strings.ToLower(name); lower != name {
		note("no header is called %q: their names are in lower case, %q", name, lower)
	}
}

// forgotten finds what looks like an expression in text: $args[0], {args[0]}.
var forgotten = func() *regexp.Regexp {
	var names []string
	for _, v := range variables {
		names = append(names, v.name)
	}
	name := "(?:" + strings.Join(names, "|") + ")"
	return regexp.MustCompile(`\$(` + name + `\b[\w.\[\]'"]*)|(?:^|[^$])\{(` + name + `\b[^{}]*)\}|\$\((` + name + `\b[^()]*)\)`)
}()

// wholly finds text that is an expression but for its ${}.
var wholly = regexp.MustCompile(`^(?:args|claims|auth|query|headers)(?:\.\w+|\[[^\]]+\])+$`)

// Forgotten returns the expression that a text seems to have been meant to hold; empty when it seems meant as it is.
func Forgotten(s string) string {
	segments, err := splitTemplate(s)
	if err != nil {
		return ""
	}
	for _, segment := range segments {
		if segment.expression {
			continue
		}
		if m := forgotten.FindStringSubmatch(segment.text); m != nil {
			return m[1] + m[2] + m[3]
		}
		if len(segments) == 1 && wholly.MatchString(segment.text) {
			return segment.text
		}
	}
	return ""
}
