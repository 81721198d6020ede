package celjson

import (
	"context"
	"errors"
	"fmt"

	"cel.dev/cel-go/interpreter"
)

// BudgetUnits is how much work the evaluation of one event may cause. A unit is about the time that decoding one small
// value takes, so the whole is some tens of milliseconds.
const BudgetUnits = 400_000

// Bytes of text that cost one unit.
const (
	scanned = 64 // looked at once, to find where values end
	copied  = 16 // written to an answer, or decoded with escapes
)

// checkEvery is how many units pass between two looks at the context.
const checkEvery = 4096

var (
	errSpent = interpreter.EvalCancelledError{
		Cause:   interpreter.CostLimitExceeded,
		Message: fmt.Sprintf("more than %d values to look at", BudgetUnits),
	}
	errGone = interpreter.EvalCancelledError{Cause: interpreter.ContextCancelled, Message: "the client has gone"}
)

// Budget is what is left of the work that one event may cause. A nil Budget has no end. It is for one goroutine.
type Budget struct {
	left  int
	check int // the value of left at which ctx is looked at
	ctx   context.Context

	matcher matcher // of the pattern compiled last
}

// Reset fills the budget. Evaluation ends early when ctx does; nil never does.
func (b *Budget) Reset(ctx context.Context) {
	*b = Budget{left: BudgetUnits, check: BudgetUnits - checkEvery, ctx: ctx}
}

// Spend takes units for work that is about to be done. If there are too few left, or the client has gone, it does not
// return: it cancels the evaluation in the way CEL does, by a panic with an EvalCancelledError, which Program.Eval makes
// an error. Code outside Program.Eval defers Cancelled.
func (b *Budget) Spend(units int) {
	if b == nil {
		return
	}
	b.left -= units
	if b.left < b.check {
		b.look()
	}
}

func (b *Budget) look() {
	if b.left < 0 {
		b.left, b.check = -1, 0 // so that later work fails as well
		panic(errSpent)
	}
	b.check = max(0, b.left-checkEvery)
	if b.ctx != nil && b.ctx.Err() != nil {
		panic(errGone)
	}
}

// Spent is how many units were taken since Reset.
func (b *Budget) Spent() int { return BudgetUnits - max(b.left, 0) }

// Cancelled makes the panic of Spend an error of the function that defers it.
func Cancelled(err *error) {
	switch r := recover().(type) {
	case nil:
	case interpreter.EvalCancelledError:
		*err = r
	default:
		panic(r)
	}
}

// TooCostly reports whether err says that an evaluation was ended by a budget or by CEL's own limit.
func TooCostly(err error) bool {
	var cancelled interpreter.EvalCancelledError
	return errors.As(err, &cancelled) && cancelled.Cause != interpreter.ContextCancelled
}

// cost is the price of n bytes.
func cost(n, each int) int { return n / each }
