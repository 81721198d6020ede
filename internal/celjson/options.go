package celjson

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// BudgetVariable is the name under which an activation hands over its *Budget. No expression can spell it.
const BudgetVariable = "@budget"

// costLimit bounds one evaluation with loops, in CEL's units: roughly one for each step.
const costLimit = 100_000

// Options bound what a program costs: calls whose work depends on what is inside their operands spend the budget; with
// loops set, CEL's own units are counted and limited too. Counting costs more than most expressions do, so loops should be
// set only for a program that has some.
func Options(loops bool) []cel.ProgramOption {
	options := []cel.ProgramOption{cel.CustomDecoratorV2(replaceCalls)}
	if loops {
		options = append(options, cel.CostTracking(longOperands{}), cel.CostLimit(costLimit))
	}
	return options
}

// longOperands prices calls on long strings, most of which CEL takes for a single step.
type longOperands struct{}

// CallCost leaves short operands to CEL.
func (longOperands) CallCost(_, _ string, args []ref.Val, _ ref.Val) *uint64 {
	bytes := 0
	for _, arg := range args {
		switch arg := arg.(type) {
		case types.String:
			bytes += len(arg)
		case types.Bytes:
			bytes += len(arg)
		}
	}
	if bytes < 1024 {
		return nil
	}
	price := uint64(bytes / copied)
	return &price
}

// replaceCalls puts binary in the place of the calls that may take more than a step.
func replaceCalls(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || len(call.Args()) != 2 {
		return i, nil
	}
	b := binary{call: call, left: call.Args()[0], right: call.Args()[1]}
	switch call.Function() {
	case operators.Equals:
		b.apply = equalValues
	case operators.NotEquals:
		b.apply = differentValues
	case operators.In:
		if _, constant := b.right.(interpreter.InterpretableConst); constant {
			return i, nil // CEL makes a set of it
		}
		b.apply = isIn
	case overloads.Matches:
		var err error
		if b.apply, err = matching(b.right); err != nil {
			return nil, err
		}
	case overloads.TimeGetFullYear, overloads.TimeGetMonth, overloads.TimeGetDayOfYear, overloads.TimeGetDate,
		overloads.TimeGetDayOfMonth, overloads.TimeGetDayOfWeek, overloads.TimeGetHours, overloads.TimeGetMinutes,
		overloads.TimeGetSeconds, overloads.TimeGetMilliseconds:
		b.apply = inZone(call.Function(), call.OverloadID())
	default:
		return i, nil
	}
	return &b, nil
}

// binary is a call with two operands that pays for its work.
type binary struct {
	call        interpreter.InterpretableCall // the one it replaces
	left, right interpreter.InterpretableV2
	apply       func(frame *interpreter.ExecutionFrame, left, right ref.Val) ref.Val
}

// ID is the replaced call's.
func (c *binary) ID() int64 { return c.call.ID() }

// Exec evaluates the call. An operand that is an error is its result.
func (c *binary) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	left := c.left.Exec(frame)
	if types.IsUnknownOrError(left) {
		return left
	}
	right := c.right.Exec(frame)
	if types.IsUnknownOrError(right) {
		return right
	}
	v := c.apply(frame, left, right)
	if tracker := frame.CostTracker(); tracker != nil {
		tracker.EvalBinary(frame, c.ID(), c.call, left, right, v)
	}
	return v
}

// Eval is Exec for callers that have no frame.
func (c *binary) Eval(vars interpreter.Activation) ref.Val {
	return interpreter.EvalActivation(vars, c.Exec)
}

func budgetOf(frame *interpreter.ExecutionFrame) *Budget {
	v, _ := frame.ResolveName(BudgetVariable)
	b, _ := v.(*Budget)
	return b
}

func equalValues(frame *interpreter.ExecutionFrame, x, y ref.Val) ref.Val {
	if isContainer(x) && isContainer(y) {
		return equal(budgetOf(frame), x, y)
	}
	return types.Equal(x, y)
}

func differentValues(frame *interpreter.ExecutionFrame, x, y ref.Val) ref.Val {
	return types.Bool(equalValues(frame, x, y) != types.True)
}

// isIn asks the container itself unless value is one too: comparing such values is what may take long.
func isIn(frame *interpreter.ExecutionFrame, value, container ref.Val) ref.Val {
	if l, ok := container.(traits.Lister); ok && isContainer(value) {
		return contains(budgetOf(frame), l, value)
	}
	if c, ok := container.(traits.Container); ok {
		return c.Contains(value)
	}
	return types.NewErr("no such overload: in")
}

// zoneCost is what a time zone costs: it is read from a file at every call.
const zoneCost = 300

func inZone(function, overload string) func(*interpreter.ExecutionFrame, ref.Val, ref.Val) ref.Val {
	return func(frame *interpreter.ExecutionFrame, time, zone ref.Val) ref.Val {
		budgetOf(frame).Spend(zoneCost)
		if t, ok := time.(traits.Receiver); ok {
			return t.Receive(function, overload, []ref.Val{zone})
		}
		return types.NewErr("no such overload: %s", function)
	}
}
