package celjson_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/internal/celjson"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// vars is an activation with one variable, v.
type vars struct {
	v      any
	budget *celjson.Budget
}

func (a vars) Parent() cel.Activation { return nil }

func (a vars) ResolveName(name string) (any, bool) {
	switch name {
	case "v":
		return a.v, true
	case celjson.BudgetVariable:
		return a.budget, true
	}
	return nil, false
}

// eval evaluates source with v as the list of values in text.
func eval(t *testing.T, source, text string, b *celjson.Budget) (any, error) {
	t.Helper()
	env, err := cel.NewEnv(cel.Variable("v", cel.ListType(cel.DynType)))
	if err != nil {
		t.Fatal(err)
	}
	checked, issues := env.Compile(source)
	if issues.Err() != nil {
		t.Fatal(issues.Err())
	}
	program, err := env.Program(checked, celjson.Options(strings.Contains(source, "exists"))...)
	if err != nil {
		return nil, err
	}
	v, _, err := program.Eval(vars{celjson.NewList(celjson.Raw{Text: []byte(text), Attachments: [][]byte{[]byte("one")}}, b), b})
	if err != nil {
		return nil, err
	}
	return v.Value(), nil
}

// many is an object with more members than are searched one by one, and the first of them once more.
func many() string {
	var b strings.Builder
	for i := range 20 {
		fmt.Fprintf(&b, `"k%d":%d,`, i, i)
	}
	return "{" + b.String() + `"k0":"last"}`
}

func TestExpressions(t *testing.T) {
	for _, c := range []struct {
		source, text string
		want         any // a string that begins with "error: " is what an error holds
	}{
		{`v.size()`, `[1, [2,3] ,{"a":[4]}]`, int64(3)},
		{`v[1][0] + v[2].a[0]`, `[1, [2,3] ,{"a":[4]}]`, int64(6)},
		{`v[3]`, `[1]`, "error: index out of bounds: 3"},
		{`v[dyn(0.0)]`, `[1]`, int64(1)},
		{`v[0].b`, `[{"a":1}]`, "error: no such key: b"},
		{`v[0][1]`, `[{"a":1}]`, "error: no such key"},
		{`has(v[0].a) && !has(v[0].b) && 'a' in v[0]`, `[{"\u0061":null}]`, true},
		{`v[0].size() == 20 && v[0].k0 == 'last' && v[0].k19 == 19 && !('k20' in v[0])`, "[" + many() + "]", true},
		{`v[0] == v[1]`, `[{"a":[1,{}],"b":null},{"b":null , "a":[1.0,{ }]}]`, true},
		{`v[0] == v[1]`, `[{"a":1},{"b":1}]`, false},
		{`v[0] != v[1]`, `[[1,2],[1]]`, true},
		{`v[0] == [1, 2] && [1, 2] == v[0] && v[1] == {'a': 1} && v[0] != v[1] && v[0] != null`, `[[1,2],{"a":1}]`, true},
		{`v[0] in v[1] && [2] in v[1] && !([3] in v[1]) && 5 in v && !('x' in v)`, `[[1],[[1],[2]],5]`, true},
		{`v[0] in [[1]] && v[1] in [1, 2]`, `[[1],2]`, true},
		{`v[0].exists(k, v[0][k] == 2) && v[1].exists(x, x == 3)`, `[{"a":1,"b":2},[3]]`, true},
		{`(v[0] + v[1]).size() == 3 && (v[0] + v[1])[2] == 3`, `[[1,2],[3]]`, true},
		{`type(v[0]) == list && type(v[1]) == map && type(v[2]) == bytes && v[2] == b'one'`, `[[],{},{"_placeholder":true,"num":0}]`, true},
		{`v[0].matches('^a+$') && !v[0].matches(v[1])`, `["aaa","b"]`, true},
		{`v[0].matches(v[1])`, `["a","((abcd){30}){30}"]`, "error: a regular expression of over 1000 instructions"},
		{`v[0].matches(v[1])`, `["a","("]`, "error: missing closing )"},
		{`v[0].matches('a')`, `[1]`, "error: no such overload"},
		{`v[0] in v[1]`, `[1,2]`, "error: no such overload"},
		{`timestamp(0).getHours(v[0])`, `["Europe/Nowhere"]`, "error: unknown time zone"},
	} {
		var b celjson.Budget
		b.Reset(context.Background())
		got, err := eval(t, c.source, c.text, &b)
		if want, fails := c.want.(string); fails && strings.HasPrefix(want, "error: ") {
			if err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(want, "error: ")) {
				t.Errorf("%s of %s: %v, %v", c.source, c.text, got, err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s of %s: %v, %v, want %v", c.source, c.text, got, err, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for text, want := range map[string]any{
		"0": types.Int(0), "-0": types.Int(0), "-0.0": types.Int(0), "41": types.Int(41), "1.0": types.Int(1), "1e3": types.Int(1000), "1.5e1": types.Int(15),
		"9223372036854775807": types.Int(1<<63 - 1), "9223372036854775808": types.Double(1 << 63), "9.3e18": types.Double(9.3e18), "-9.223372036854775808e18": types.Int(-1 << 63),
		"1.5": types.Double(1.5), "1e-400": types.Int(0), "1e300": types.Double(1e300), "1e400": types.NullValue, "-1e400": types.NullValue,
	} {
		if got := celjson.Number([]byte(text)); got != want {
			t.Errorf("%s: %T %v, want %T %v", text, got, got, want, want)
		}
	}
}

func TestBudget_OnceSpentNothingIsEvaluated(t *testing.T) {
	var b celjson.Budget
	b.Reset(context.Background())
	spend := func(units int) (err error) {
		defer celjson.Cancelled(&err)
		b.Spend(units)
		return nil
	}
	if err := spend(celjson.BudgetUnits); err != nil || b.Spent() != celjson.BudgetUnits {
		t.Errorf("%v, %d spent", err, b.Spent())
	}
	for range 2 {
		if err := spend(1); !celjson.TooCostly(err) {
			t.Errorf("%v", err)
		}
	}
	if _, err := eval(t, "v[0]", "[1]", nil); err != nil {
		t.Error("without a budget:", err)
	}
	if err := spend(0); !celjson.TooCostly(err) {
		t.Errorf("a call that costs nothing: %v", err)
	}
}
