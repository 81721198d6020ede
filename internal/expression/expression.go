package expression

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/carillon-io/carillon/internal/celjson"
)

// Environments are what expressions are checked against, by place. They are immutable and safe to share.
type Environments [InDisconnect + 1]*cel.Env

// maxRegexp is how many instructions a regular expression that stands in the configuration may have.
const maxRegexp = 1000

// NewEnvironments declares the variables of each place.
func NewEnvironments() (Environments, error) {
	var all Environments
	for p := range all {
		options := []cel.EnvOption{cel.RegexProgramSizeLimit(maxRegexp)}
		for _, v := range variables {
			if v.in(Place(p)) {
				options = append(options, cel.Variable(v.name, v.kind))
			}
		}
		env, err := cel.NewEnv(options...)
		if err != nil {
			return all, fmt.Errorf("CEL environment: %w", err)
		}
		all[p] = env
	}
	return all, nil
}

// Expression is a compiled CEL expression.
type Expression struct {
	Source string

	env     *cel.Env
	checked *cel.Ast
	program cel.Program
	kind    *cel.Type // of its value, as far as checking can tell
	path    *path     // when it merely picks a client's value; else nil

	explained sync.Once
	terms     []*Expression // of Explain
}

// Compile compiles an expression. A syntax error, an unknown variable or a wrong type is an error.
func Compile(env *cel.Env, source string) (*Expression, error) {
	checked, issues := env.Compile(source)
	if err := issues.Err(); err != nil {
		messages := make([]string, 0, len(issues.Errors()))
		for _, e := range issues.Errors() {
			messages = append(messages, e.Message)
		}
		return nil, fmt.Errorf("expression %q: %s", source, strings.Join(messages, "; "))
	}
	expr := checked.NativeRep().Expr()
	options := append(celjson.Options(hasLoop(expr)), cel.EvalOptions(cel.OptOptimize))
	program, err := env.Program(checked, options...)
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", source, err)
	}
	return &Expression{
		Source: source, env: env, checked: checked, program: program, kind: checked.OutputType(), path: pathOf(expr),
	}, nil
}

// Type is the type of the value, as far as checking can tell.
func (e *Expression) Type() string { return e.kind.String() }

// MayBeBool reports whether the value may turn out to be a boolean.
func (e *Expression) MayBeBool() bool { return e.mayBe(cel.BoolKind) }

// MayBeString reports whether the value may turn out to be a string.
func (e *Expression) MayBeString() bool { return e.mayBe(cel.StringKind) }

func (e *Expression) mayBe(k types.Kind) bool {
	return e.kind.Kind() == k || e.kind.Kind() == cel.DynKind
}

func hasLoop(expr ast.Expr) bool {
	found := false
	ast.PreOrderVisit(expr, ast.NewExprVisitor(func(e ast.Expr) {
		found = found || e.Kind() == ast.ComprehensionKind
	}))
	return found
}

// eval returns the expression's value.
func (e *Expression) eval(a *Activation) (ref.Val, error) {
	if e.path != nil {
		v, err := e.path.find(a)
		if err != nil {
			return nil, err
		}
		return valueOrError(v.Value(&a.Budget))
	}
	v, details, err := e.program.Eval(a)
	if err != nil {
		return nil, err
	}
	if steps := details.ActualCost(); steps != nil {
		a.Budget.Spend(int(min(*steps, celjson.BudgetUnits))) //nolint:gosec // bounded
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

var errNotBool = errors.New("the value is neither true nor false")

// Holds evaluates a condition; nil holds always. A value that is no boolean is an error.
func (e *Expression) Holds(a *Activation) (holds bool, err error) {
	defer celjson.Cancelled(&err)
	if e == nil {
		return true, nil
	}
	v, err := e.eval(a)
	if err != nil {
		return false, err
	}
	b, ok := v.(types.Bool)
	if !ok {
		return false, errNotBool
	}
	return bool(b), nil
}
