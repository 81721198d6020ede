package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// costLimit bounds what one evaluation may cost, in CEL's units: roughly one per step. Counting costs more than most
// expressions do, so it is done only where the cost depends on more than the length of the expression and of what it
// looks at, both bounded.
const costLimit = 100_000

// environments are what expressions are checked against, by place. They are immutable and safe to share.
type environments [inDisconnect + 1]*cel.Env

func newEnvironments() (environments, error) {
	var all environments
	for p := range all {
		options := []cel.EnvOption{cel.RegexProgramSizeLimit(1000)}
		for _, v := range variables {
			if v.places == nil || slices.Contains(v.places, place(p)) {
				options = append(options, cel.Variable(v.name, v.kind))
			}
		}
		env, err := cel.NewEnv(options...)
		if err != nil {
			return all, fmt.Errorf("policy: CEL environment: %w", err)
		}
		all[p] = env
	}
	return all, nil
}

// expression is a compiled CEL expression.
type expression struct {
	program cel.Program
	kind    *cel.Type // of its value, as far as checking can tell
	path    *path     // when it merely picks a client's value; else nil
}

func compileExpression(env *cel.Env, source string) (*expression, error) {
	checked, issues := env.Compile(source)
	if err := issues.Err(); err != nil {
		messages := make([]string, 0, len(issues.Errors()))
		for _, e := range issues.Errors() {
			messages = append(messages, e.Message)
		}
		return nil, fmt.Errorf("expression %q: %s", source, strings.Join(messages, "; "))
	}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize)}
	expr := checked.NativeRep().Expr()
	if costs(expr) {
		options = append(options, cel.CostLimit(costLimit))
	}
	program, err := env.Program(checked, options...)
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", source, err)
	}
	return &expression{program, checked.OutputType(), pathOf(expr)}, nil
}

func (e *expression) mayBeBool() bool {
	return e.kind.Kind() == cel.BoolKind || e.kind.Kind() == cel.DynKind
}
func (e *expression) mayBeString() bool {
	return e.kind.Kind() == cel.StringKind || e.kind.Kind() == cel.DynKind
}

// costs reports whether the expression holds a loop or a regular expression.
func costs(expr ast.Expr) bool {
	found := false
	ast.PreOrderVisit(expr, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.ComprehensionKind:
			found = true
		case ast.CallKind:
			found = found || e.AsCall().FunctionName() == "matches"
		}
	}))
	return found
}

// eval returns the expression's value.
func (e *expression) eval(a *activation) (ref.Val, error) {
	if e.path != nil {
		v, err := e.path.find(a)
		if err != nil {
			return nil, err
		}
		return valueOrError(v.celValue())
	}
	v, _, err := e.program.Eval(a)
	if err != nil {
		return nil, err
	}
	return valueOrError(v)
}

func valueOrError(v ref.Val) (ref.Val, error) {
	if types.IsUnknownOrError(v) {
		if err, ok := v.(*types.Err); ok {
			return nil, err
		}
		return nil, errors.New("the value is unknown")
	}
	return v, nil
}

// path is an expression that picks one of the client's own values, such as args, args[1].text or auth: what it finds is
// handed on in the client's own text.
type path struct {
	root  func(*activation) raw
	args  bool // root is args
	steps []step
}

// isArgs reports whether the path is the whole argument list.
func (p *path) isArgs() bool { return p.args && len(p.steps) == 0 }

// step is a member's name, or an index where the name is nil.
type step struct {
	name  *string
	index int
}

var roots = map[string]func(*activation) raw{
	"args":   (*activation).argsArray,
	"auth":   (*activation).authObject,
	"claims": func(*activation) raw { return noMembers },
}

// pathOf is nil when the expression is anything but a path.
func pathOf(expr ast.Expr) *path {
	switch expr.Kind() {
	case ast.IdentKind:
		if root := roots[expr.AsIdent()]; root != nil {
			return &path{root: root, args: expr.AsIdent() == "args"}
		}
	case ast.SelectKind:
		if s := expr.AsSelect(); !s.IsTestOnly() {
			name := s.FieldName()
			return pathOf(s.Operand()).with(step{name: &name})
		}
	case ast.CallKind:
		call := expr.AsCall()
		if call.FunctionName() != operators.Index || call.Args()[1].Kind() != ast.LiteralKind {
			return nil
		}
		switch index := call.Args()[1].AsLiteral().(type) {
		case types.Int:
			if index >= 0 && index < 1<<31 {
				return pathOf(call.Args()[0]).with(step{index: int(index)})
			}
		case types.String:
			name := string(index)
			return pathOf(call.Args()[0]).with(step{name: &name})
		}
	}
	return nil
}

func (p *path) with(s step) *path {
	if p != nil {
		p.steps = append(p.steps, s)
	}
	return p
}

func (p *path) find(a *activation) (raw, error) {
	v := p.root(a)
	for _, s := range p.steps {
		var ok bool
		if s.name != nil {
			if v, ok = v.memberOf(*s.name); !ok {
				return raw{}, fmt.Errorf("no member %q", *s.name)
			}
		} else if v, ok = v.elementOf(s.index); !ok {
			return raw{}, fmt.Errorf("no element %d", s.index)
		}
	}
	return v, nil
}
