package policy_test

import (
	"testing"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
)

// FuzzFaults: whatever the configuration's form was found guilty of, the rules in it are looked at all the same.
func FuzzFaults(f *testing.F) {
	for _, seed := range []string{
		`namespaces: {/: {rules: [{event: a, if: nope, do: [{}, {join: []}, {emit: {to: {}}}, {reply: {event: []}}]}]}}`,
		`namespaces: {"/t-*": {connect: {if: 'auth.x', do: [{leave: 1}]}, disconnect: {do: [{broadcast: }]}}}`,
		`namespaces: {/: {rules: [{event: a, rate: 1/s, schema: {type: [1]}, ack: "${args}", deny: "${"}, {schema: x, ack: {a: 1}}]}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		_, _, formal := config.Load(config.Source{File: []byte(file)})
		_, _, err := config.Load(config.Source{File: []byte(file), Rules: policy.Check})
		if formal != nil && err == nil {
			t.Errorf("passes with its rules looked at; without: %v", formal)
		}
	})
}
