package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// unbuiltKey is a setting, or a section of them, whose part of the gateway does not exist yet.
type unbuiltKey struct {
	key string
	// refuse makes the setting an error, because its author counts on protection or durability; otherwise it is a
	// warning.
	refuse bool
	// asks reports whether the value wants the missing part at all; nil means that every value but the default does.
	asks func(c *Config) bool
}

// unbuilt lists what is not built. A commit that builds a part deletes its lines, and makes docs/configuration.md anew.
var unbuilt = []unbuiltKey{
	{key: "history", refuse: true},
	{key: "presence"},
}

const notInThisVersion = "not in this version"

// checkUnbuilt warns of or refuses what was asked for and is not there. Only what a user said counts, and only where it
// differs from the default: the printed form of a default configuration asks for nothing.
func (l *loader) checkUnbuilt() {
	defaults := Default()
	usual := leaves(&defaults)
	for i, setting := range leaves(&l.config) {
		key := setting.key()
		_, given := l.origins[key]
		if !given || reflect.DeepEqual(setting.value.Interface(), usual[i].value.Interface()) {
			continue
		}
		for _, missing := range unbuilt {
			if key != missing.key && !strings.HasPrefix(key, missing.key+".") {
				continue
			}
			if missing.asks != nil && !missing.asks(&l.config) {
				continue
			}
			if missing.refuse {
				l.fault(key, "%s%s", shown(setting.value), notInThisVersion)
			} else {
				l.warn(key, "%s%s; it has no effect", shown(setting.value), notInThisVersion)
			}
		}
	}
	l.checkUnbuiltPolicy()
}

// shown begins a message with a value that fits in one, secrets masked.
func shown(v reflect.Value) string {
	if n := encode(v); n.Kind == yaml.ScalarNode {
		return quote(n.Value) + ": "
	}
	return ""
}

// checkUnbuiltPolicy does the same for what namespaces may say.
func (l *loader) checkUnbuiltPolicy() {
	for _, name := range slices.Sorted(maps.Keys(l.config.Namespaces)) {
		key, namespace := EntryKey("namespaces", name), l.config.Namespaces[name]
		for i, action := range namespace.Connect.Do {
			l.checkUnbuiltBackfill(indexKey(key+".connect.do", i), action)
		}
		for i, rule := range namespace.Rules {
			at := indexKey(key+".rules", i)
			for j, action := range rule.Do {
				l.checkUnbuiltBackfill(indexKey(at+".do", j), action)
			}
		}
	}
}

func (l *loader) checkUnbuiltBackfill(key string, action Action) {
	if action.History.Kind != Absent {
		l.fault(key+".history", notInThisVersion)
	}
	if action.Since.Kind != Absent {
		l.fault(key+".since", notInThisVersion)
	}
}
