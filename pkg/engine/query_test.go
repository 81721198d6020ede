package engine_test

import (
	"reflect"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
)

// The values are those of Node: Object.fromEntries(new URLSearchParams(query)).
func TestParseQuery_AsNode(t *testing.T) {
	for query, want := range map[string]map[string]string{
		"":                        {},
		"a=1":                     {"a": "1"},
		"a=1&a=2":                 {"a": "2"},
		"a=1&a":                   {"a": ""},
		"a[]=1&a[]=2":             {"a[]": "2"},
		"%61=1&a=2":               {"a": "2"},
		"token=a;b":               {"token": "a;b"},
		"a=1;b=2&c=3":             {"a": "1;b=2", "c": "3"},
		"a=50%":                   {"a": "50%"},
		"a=%zz&b=1":               {"a": "%zz", "b": "1"},
		"a=%4&b=%":                {"a": "%4", "b": "%"},
		"a=%2B+%20&b=%C3%A9%c3a9": {"a": "+  ", "b": "é\ufffda9"},
		"a==b=c&=d&&":             {"a": "=b=c", "": "d"},
		"a=%ff":                   {"a": "\ufffd"},
		"a=é":                     {"a": "é"},
	} {
		got := map[string]string{}
		for name, values := range engine.ParseQuery(query) {
			if len(values) != 1 {
				t.Errorf("%q: %q has the values %q", query, name, values)
			}
			got[name] = values[0]
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, want %q", query, got, want)
		}
	}
}
