package expression

import (
	"fmt"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"github.com/carillon-io/carillon/internal/celjson"
)

// path is an expression that picks one of the client's own values, such as args, args[1].text or auth. It is not evaluated:
// what it finds is handed on in the client's own text.
type path struct {
	root  func(*Activation) celjson.Raw
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

var roots = map[string]func(*Activation) celjson.Raw{
	"args":   (*Activation).argsArray,
	"auth":   (*Activation).authObject,
	"claims": (*Activation).claimsObject,
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

func (p *path) find(a *Activation) (celjson.Raw, error) {
	v := p.root(a)
	for _, s := range p.steps {
		var ok bool
		if s.name != nil {
			if v, ok = v.Member(*s.name, &a.Budget); !ok {
				return celjson.Raw{}, fmt.Errorf("no such key: %s", *s.name)
			}
		} else if v, ok = v.Element(s.index, &a.Budget); !ok {
			return celjson.Raw{}, fmt.Errorf("no element %d", s.index)
		}
	}
	return v, nil
}
