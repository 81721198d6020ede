package expression

import (
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/parser"
	"github.com/carillon-io/carillon/internal/celjson"
)

// Term is a part of a condition, and its value for one event.
type Term struct {
	Source string
	Value  string // as CEL writes it, shortened
	Err    error  // instead of a value
}

// secret matches the sources whose values may hold credentials.
var secret = regexp.MustCompile(`(?i)^(auth|headers|query)$|token|authorization|cookie|password|secret`)

// Explain evaluates the parts of a condition one by one: the operands of its logical operators, and of the comparisons in
// them. It leaves the activation and its budget alone, so it changes no decision. It is not fast.
func (e *Expression) Explain(a *Activation) []Term {
	if e == nil {
		return nil
	}
	e.explained.Do(e.compileTerms)
	if len(e.terms) == 0 {
		return nil
	}
	own := Activation{Subject: a.Subject, Event: a.Event, Args: a.Args, Reason: a.Reason}
	own.now = a.now
	own.Budget.Reset(nil) //nolint:staticcheck // it ends by itself
	terms := make([]Term, 0, len(e.terms))
	for _, t := range e.terms {
		v, err := t.value(&own)
		if err != nil {
			terms = append(terms, Term{t.Source, "", err})
			continue
		}
		value := describe(v)
		if secret.MatchString(t.Source) {
			value = "not shown"
		}
		terms = append(terms, Term{t.Source, value, nil})
	}
	return terms
}

func (e *Expression) value(a *Activation) (v ref.Val, err error) {
	defer celjson.Cancelled(&err)
	return e.eval(a)
}

// compileTerms compiles the parts of an expression that are worth a line.
func (e *Expression) compileTerms() {
	seen := map[string]bool{}
	for _, part := range logicalParts(e.checked.NativeRep().Expr(), true) {
		source, err := parser.Unparse(part, e.checked.NativeRep().SourceInfo())
		if err != nil || seen[source] {
			continue
		}
		seen[source] = true
		if term, err := Compile(e.env, source); err == nil {
			e.terms = append(e.terms, term)
		}
	}
}

// logicalParts returns the operands below logical operators, and below these what has a value that is not obvious.
func logicalParts(expr ast.Expr, whole bool) []ast.Expr {
	var parts []ast.Expr
	if expr.Kind() != ast.CallKind {
		if !whole && expr.Kind() != ast.LiteralKind {
			parts = append(parts, expr)
		}
		return parts
	}
	call := expr.AsCall()
	switch call.FunctionName() {
	case operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.Conditional:
		for _, arg := range call.Args() {
			parts = append(parts, logicalParts(arg, false)...)
		}
		return parts
	}
	if !whole {
		parts = append(parts, expr)
	}
	if call.IsMemberFunction() {
		parts = append(parts, operand(call.Target())...)
	}
	if call.FunctionName() != operators.Index {
		for _, arg := range call.Args() {
			parts = append(parts, operand(arg)...)
		}
	}
	return parts
}

// operand is an operand of a call that is worth a line of its own.
func operand(expr ast.Expr) []ast.Expr {
	switch expr.Kind() {
	case ast.LiteralKind, ast.ListKind, ast.MapKind, ast.ComprehensionKind:
		return nil
	}
	return []ast.Expr{expr}
}

// maxDescribed is how much of a value is shown.
const maxDescribed = 120

// describe writes a value for a reader.
func describe(v ref.Val) string {
	var text string
	switch v := v.(type) {
	case *celjson.List:
		text = string(v.Raw().Text)
	case *celjson.Object:
		text = string(v.Raw().Text)
	case types.String:
		text = fmt.Sprintf("%q", string(v[:min(len(v), maxDescribed)]))
	case types.Bytes:
		text = fmt.Sprintf("%d bytes", len(v))
	case types.Null:
		text = "null"
	case traits.Lister:
		var parts []string
		for it := v.Iterator(); it.HasNext() == types.True && len(parts) < maxDescribed/2; {
			parts = append(parts, describe(it.Next()))
		}
		text = "[" + strings.Join(parts, ", ") + "]"
	case traits.Mapper:
		text = fmt.Sprintf("a map of %v", v.Size())
	default:
		text = fmt.Sprint(v.Value())
	}
	if len(text) > maxDescribed {
		text = strings.ToValidUTF8(text[:maxDescribed], "") + "…"
	}
	return text
}
