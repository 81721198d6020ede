package policy

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/celjson"
	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/go-json-experiment/json/jsontext"
)

// megabyte is about the largest event a client may send.
const megabyte = 1_000_000

// repeat is a JSON list of a value, up to a size in bytes.
func repeat(value string, size int) string {
	n := max(1, size/(len(value)+1))
	return "[" + strings.TrimSuffix(strings.Repeat(value+",", n), ",") + "]"
}

func text(s string, size int) string { return `"` + strings.Repeat(s, size/len(s)) + `"` }

func nested(depth int, value string) string {
	return strings.Repeat("[", depth) + value + strings.Repeat("]", depth)
}

func objects(size int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := 0; b.Len() < size; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"k%d":%d`, i, i)
	}
	b.WriteByte('}')
	return b.String()
}

// square is a list of n lists of n values, in about size bytes.
func square(size int) string {
	n := 1
	for n*n*2 < size {
		n++
	}
	return repeat(repeat("1", 2*n), size)
}

const costlyRules = `
namespaces:
  "/":
    connect: {if: "auth.a != auth.b"}
    rules:
      - {event: in, if: "args[0] in args[1]"}
      - {event: equal, if: "args[0] == args[1]"}
      - {event: exists, if: "args[1].exists(x, x == args[0])"}
      - {event: exists2, if: "args[1].exists(x, args[0].exists(y, x == y))"}
      - {event: exists3, if: "args[0].exists(x, args[0].exists(y, args[0].exists(z, x == y && y == z && z == 0)))"}
      - {event: computed, if: "[[args[0].map(x, x)]].exists(c, args[1].exists(y, args[1].exists(z, c != c)))"}
      - {event: literal, if: "args[1].exists(x, [args[0], x] == [x, args[0]])"}
      - {event: first, if: "args[1].exists(x, args[0][0] == x)"}
      - {event: member, if: "args[1].exists(x, args[0].k1 == x)"}
      - {event: filter, ack: ["${args[0].filter(x, x == args[1])}"]}
      - {event: map, ack: ["${args[0].map(x, args[0])}"]}
      - {event: mapmap, ack: ["${args[0].map(x, args[0].map(y, [x, y]))}"]}
      - {event: keys, ack: ["${args[0].map(k, {k: args[0][k]})}"]}
      - {event: all, if: "args[0].all(k, args[1].exists(x, x == args[0][k]))"}
      - {event: add, ack: ["${args + args + [args, args]}"]}
      - {event: equaladd, if: "(args[0] + args[1]) == (args[1] + args[0])"}
      - {event: text, ack: ["${args[0]}${args[0]}${args[0]}${args[0]}"]}
      - {event: concat, ack: ["${args[1].map(x, args[0] + args[0])}"]}
      - {event: string, if: "args[1].exists(x, string(args[0]) == string(x))"}
      - {event: int, if: "args[1].exists(x, int(args[0]) == 1)"}
      - {event: bytes, if: "args[1].exists(x, bytes(args[0]) == b'a')"}
      - {event: size, if: "args[1].exists(x, size(args[0]) == -1)"}
      - {event: bound, if: "args.exists(s, args[1].exists(x, size(s) == -1 || s.contains('q') || s.endsWith('q')))"}
      - {event: contains, if: "args[0].contains(args[1])"}
      - {event: containsall, if: "args[1].exists(x, args[0].contains(x))"}
      - {event: matches, if: "args[0].matches(args[1])"}
      - {event: pattern, if: "args[0].matches('^([a-z]*)*[0-9]{2,90}$')"}
      - {event: patterns, if: "args[1].exists(x, 'aaaa'.matches(x))"}
      - {event: subjects, if: "args[1].exists(x, x.matches(args[0]))"}
      - {event: zone, if: "args[1].exists(x, timestamp(0).getHours(args[0]) == 25)"}
      - {event: time, if: "args[1].exists(x, timestamp(x) == timestamp(0) || duration(x) == duration('1s'))"}
      - {event: rooms, if: "args[0].all(x, !(x in rooms)) && rooms.all(r, !(r in args[0]))"}
      - {event: path, ack: ["${args[0][0][0][0][0][0][0][0]}", "${args[0][0][0]}", "${args[1].k1}"]}
      - {event: copies, ack: ["${args[0]}", "${args[0]}", "${args[0]}", "${args[0]}", "${args[0]}"]}
      - {event: echo, ack: "${args}"}
      - {event: joins, do: [{emit: {to: "${args[0]}", event: x}}]}
      - {event: schema, schema: {prefixItems: [{type: array, items: {type: string}, uniqueItems: true}]}}
      - {event: schemapattern, schema: {items: {anyOf: [{type: string, pattern: "^([a-z]*)*[0-9]{2,90}$"}, {type: array, items: {pattern: "(a|b)*c"}}, {type: object}]}}}
      - {event: schemaobject, schema: {items: {type: [object, array], additionalProperties: {multipleOf: 7}, uniqueItems: true}}}
`

// turned ends the name of a shape whose arguments are in the other order.
const turned = ", turned"

// costly are events of one megabyte, made to be as dear as may be.
func costly() map[string]string {
	half := megabyte / 2
	shapes := map[string][2]string{
		"numbers, empty lists": {repeat("1", half), repeat("[]", half)},
		"few numbers, lists":   {repeat("1", 1000), repeat("[1]", megabyte)},
		"squares":              {square(half), square(half)},
		"row, square":          {repeat("1", 2000), square(megabyte)},
		"row in rows, square":  {"[" + repeat("1", half) + "]", repeat("[[2]]", half)},
		"object, objects":      {`{"a":` + repeat("1", half) + `}`, repeat(`{"a":[]}`, half)},
		"large objects":        {objects(half), objects(half)},
		"deep":                 {repeat(nested(100, "1"), half), repeat(nested(100, "2"), half)},
		"deep objects":         {strings.Repeat(`{"k1":`, 100) + objects(half) + strings.Repeat("}", 100), repeat(`{"k1":1}`, half)},
		"text, numbers":        {text("0", half), repeat("1", half)},
		"text, texts":          {text("a", half), repeat(`"aaaaaaaa"`, half)},
		"texts, texts":         {repeat(`"aaaaaaaaaaaaa"`, half), repeat(`"aaaaaaaaaaaab"`, half)},
		"text, pattern":        {text("a", megabyte-100), `"(a|aa)*(b|[ab]{30}){9}$"`},
		"text, long pattern":   {text("a", half), text("a?", half)},
		"pattern, texts":       {`"(a?){50}a{50}$"`, repeat(`"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`, megabyte)},
		"text, patterns":       {text("a", half), repeat(`"\\pL(?i)\\pL{300}"`, half)},
		"zone, numbers":        {`"Europe/Berlin"`, repeat("1", megabyte)},
		"escaped text, texts":  {text(`\u00e9`, half), repeat(`"\u00e9"`, half)},
		"digits, numbers":      {strings.Repeat("1", half), repeat("1e300", half)},
		"numbers":              {repeat("1", megabyte), "[2]"},
		"names":                {repeat(`"room"`, megabyte), "[2]"},
	}
	events := make(map[string]string)
	for name, shape := range shapes {
		events[name] = "[" + shape[0] + "," + shape[1] + "]"
		events[name+turned] = "[" + shape[1] + "," + shape[0] + "]"
	}
	return events
}

// Over a budget of units or not, what an event of the largest size costs is bounded, whatever the rule: by the units it
// spends, and by what is allocated meanwhile, for which no unit may have been asked.
func TestCost_UnitsAndAllocationsOfTheLargestEvent(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	m := newQuietLogic(t, costlyRules)
	over := map[string]bool{}
	events := costly()
	for i, r := range m.current().rules {
		for j, name := range slices.Sorted(maps.Keys(events)) {
			if (i+j)%5 > 0 {
				continue // BenchmarkCost tries all of them
			}
			args := events[name]
			spent, mallocs, bytes, refused := measure(m, r, args)
			if spent > celjson.BudgetUnits {
				t.Errorf("%s, %s: %d units", r.label, name, spent)
			}
			if mallocs > 2*celjson.BudgetUnits || bytes > 80<<20 {
				t.Errorf("%s, %s: %d objects, %d bytes allocated", r.label, name, mallocs, bytes)
			}
			if refused != nil && refused.message == tooCostly {
				over[r.events[0].text] = true
			}
		}
	}
	for _, event := range []string{"in", "exists", "map", "string", "int", "size", "bound", "matches", "zone", "schema", "text"} {
		if !over[event] {
			t.Errorf("no event is too dear for rule %s: nothing was tried", event)
		}
	}
}

// measure decides one event by one rule.
func measure(m *logic, r *rule, args string) (spent int, mallocs, bytes uint64, refused *refusal) {
	a := expression.NewActivation(context.Background(), &m.client)
	defer a.Release()
	a.Event, a.Args = r.events[0].text, packet.Args{JSON: []byte(args)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	refused = (&namespace{rules: []*rule{r}}).decide(a, m, nil).refused
	runtime.ReadMemStats(&after)
	return a.Budget.Spent(), after.Mallocs - before.Mallocs, after.TotalAlloc - before.TotalAlloc, refused
}

// FuzzCost: no event costs more than its budget, whatever is repeated in it.
func FuzzCost(f *testing.F) {
	for i := range 40 {
		f.Add(uint8(i), "1", "[]", uint16(1000), uint16(1000))
		f.Add(uint8(i), `"aa"`, `"(a|b)*"`, uint16(1), uint16(1))
		f.Add(uint8(i), `{"k1":[{}]}`, `[[[1]],"\u00e9"]`, uint16(300), uint16(300))
	}
	m := newQuietLogic(f, costlyRules)
	rules := m.current().rules
	f.Fuzz(func(t *testing.T, rule uint8, first, second string, times, more uint16) {
		args := "[" + repeat(first, int(times)*len(first)) + "," + repeat(second, int(more)*len(second)) + "]"
		if len(args) > megabyte || !jsontext.Value(args).IsValid() {
			return
		}
		spent, mallocs, bytes, _ := measure(m, rules[int(rule)%len(rules)], args)
		if spent > celjson.BudgetUnits || mallocs > 2*celjson.BudgetUnits || bytes > 80<<20 {
			t.Errorf("%d units, %d objects, %d bytes", spent, mallocs, bytes)
		}
	})
}

// What two client's values cost to compare grows with their size, not with its square.
func TestCost_ComparingIsLinear(t *testing.T) {
	m := newQuietLogic(t, costlyRules)
	for _, rule := range []string{"in", "equal", "exists", "literal", "first", "filter"} {
		for _, shape := range [][2]string{{"1", "[]"}, {"1", "[1]"}, {"{}", "[[2]]"}, {"[1]", "[]"}} {
			var spent [2]int
			for i, size := range []int{20_000, 40_000} {
				args := "[" + repeat(shape[0], size) + "," + repeat(shape[1], size) + "]"
				for _, r := range m.current().rules {
					if r.events[0].text == rule {
						spent[i], _, _, _ = measure(m, r, args)
					}
				}
			}
			if spent[0] == 0 || spent[1] > 3*spent[0] {
				t.Errorf("%s of %v: %d units, twice as much: %d", rule, shape, spent[0], spent[1])
			}
		}
	}
}

func TestCost_EndsWithTheClient(t *testing.T) {
	m := newQuietLogic(t, costlyRules)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a := expression.NewActivation(ctx, &m.client)
	defer a.Release()
	a.Event, a.Args = "in", packet.Args{JSON: []byte("[[1]," + repeat("[1]", megabyte) + "]")}
	refused := m.current().decide(a, m, nil).refused
	if refused == nil || refused.cause == nil || refused.cause.Error() != "the client has gone" {
		t.Errorf("%+v", refused)
	}
	if spent := a.Budget.Spent(); spent > celjson.BudgetUnits/10 {
		t.Errorf("%d units spent for a client that has gone", spent)
	}
}

// BenchmarkCost measures the processor time of the dearest events: none may take 100 ms.
func BenchmarkCost(b *testing.B) {
	m := newQuietLogic(b, costlyRules)
	for _, r := range m.current().rules {
		for name, args := range costly() {
			b.Run(r.label+"/"+name, func(b *testing.B) {
				list := packet.Args{JSON: []byte(args)}
				ack := &answers{wanted: true}
				start := cpu()
				for b.Loop() {
					m.event(r.events[0].text, list, ack)
				}
				b.ReportMetric((cpu()-start).Seconds()*1000/float64(b.N), "ms/event")
				b.Logf("%.80s", ack.args.JSON)
			})
		}
	}
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
