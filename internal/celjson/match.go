package celjson

import (
	"fmt"
	"regexp"
	"regexp/syntax"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// maxProgram is how many instructions a regular expression may compile to. The time a match takes is bounded by this
// times the length of the text.
const maxProgram = 1000

// patternCost is what a byte of a pattern costs that is compiled during an evaluation: \pL stands for hundreds of ranges.
const patternCost = 80

// matcher is a compiled regular expression.
type matcher struct {
	pattern string
	regexp  *regexp.Regexp
	size    int // estimated instructions
}

// compileMatcher refuses a pattern that would become too large before it does.
func compileMatcher(pattern string) (matcher, error) {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return matcher{}, err
	}
	size := programSize(parsed)
	if size > maxProgram {
		return matcher{}, fmt.Errorf("a regular expression of over %d instructions", maxProgram)
	}
	compiled, err := regexp.Compile(pattern)
	return matcher{pattern, compiled, size}, err
}

// CompileRegexp compiles a pattern for a caller that pays by MatchCost, and returns its size with it.
func CompileRegexp(pattern string) (*regexp.Regexp, int, error) {
	m, err := compileMatcher(pattern)
	return m.regexp, m.size, err
}

// programSize is about how many instructions a regular expression compiles to; it stops counting beyond maxProgram.
func programSize(re *syntax.Regexp) int {
	size := 1
	if re.Op == syntax.OpLiteral {
		size = len(re.Rune)
	}
	for _, sub := range re.Sub {
		if size += programSize(sub); size > maxProgram {
			return size
		}
	}
	if re.Op == syntax.OpRepeat {
		size *= max(1, re.Min, re.Max)
	}
	return size
}

// MatchCost is what matching text bytes against an expression of that many instructions may cost.
func MatchCost(text, size int) int { return 1 + text*(size+matchStart)/matchStep }

// A byte costs a fixed part, and one for each state that the automaton may be in.
const (
	matchStart = 8
	matchStep  = 16
)

// matching is how the function matches is applied to a pattern: one that is constant is compiled now.
func matching(pattern interpreter.InterpretableV2) (func(*interpreter.ExecutionFrame, ref.Val, ref.Val) ref.Val, error) {
	if constant, ok := pattern.(interpreter.InterpretableConst); ok {
		if p, ok := constant.Value().(types.String); ok {
			m, err := compileMatcher(string(p))
			if err != nil {
				return nil, err
			}
			return func(frame *interpreter.ExecutionFrame, text, _ ref.Val) ref.Val {
				return m.match(budgetOf(frame), text)
			}, nil
		}
	}
	return matchComputed, nil
}

func matchComputed(frame *interpreter.ExecutionFrame, text, pattern ref.Val) ref.Val {
	p, ok := pattern.(types.String)
	if !ok {
		return types.NewErr("no such overload: matches")
	}
	b := budgetOf(frame)
	m, err := b.compiled(string(p))
	if err != nil {
		return types.WrapErr(err)
	}
	return m.match(b, text)
}

// compiled compiles a pattern, and keeps the last one.
func (b *Budget) compiled(pattern string) (matcher, error) {
	if b == nil {
		return compileMatcher(pattern)
	}
	if b.matcher.regexp == nil || b.matcher.pattern != pattern {
		b.Spend(patternCost * (1 + len(pattern)))
		m, err := compileMatcher(pattern)
		if err != nil {
			return m, err
		}
		b.matcher = m
	}
	return b.matcher, nil
}

func (m matcher) match(b *Budget, text ref.Val) ref.Val {
	s, ok := text.(types.String)
	if !ok {
		return types.NewErr("no such overload: matches")
	}
	b.Spend(MatchCost(len(s), m.size))
	return types.Bool(m.regexp.MatchString(string(s)))
}
