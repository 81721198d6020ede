package config

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
)

// Source is where a configuration comes from.
type Source struct {
	// Base is what holds where nothing else is said; nil means Default(). It is not changed.
	Base *Config
	// Name is how faults call the file.
	Name string
	// File is the content of the file; empty means no file.
	File []byte
	// Environ holds name=value pairs, as os.Environ returns them.
	Environ []string
	// ReadFile reads the files named by variables ending in _FILE; nil means os.ReadFile.
	ReadFile func(name string) ([]byte, error)
	// Rules finds what is wrong with namespaces beyond their form, which may have faults of its own, and what their author
	// may not have meant; nil: neither is looked for.
	Rules func(map[string]Namespace) ([]Fault, []Warning)
}

// Load applies the file and then the environment to the base, and checks the whole. An error is always an *Error with
// every fault found; the Config is then not to be used. Warnings are returned either way.
func Load(source Source) (Config, []Warning, error) {
	l := loader{config: Default(), origins: map[string]origin{}, readFile: source.ReadFile}
	if source.Base != nil {
		l.config = *source.Base
	}
	if l.readFile == nil {
		l.readFile = os.ReadFile
	}
	l.loadFile(source.File)
	l.loadEnvironment(source.Environ)
	l.complete()
	l.check()
	l.checkUnbuilt()
	l.checkIntent(&l.config)
	if source.Rules != nil {
		faults, warnings := source.Rules(l.config.Namespaces)
		l.addRules(faults)
		for _, w := range warnings {
			l.warnings = append(l.warnings, Warning(l.located(Fault(w))))
		}
	}
	slices.SortStableFunc(l.warnings, func(a, b Warning) int { return inOrder(Fault(a), Fault(b)) })
	if len(l.faults) == 0 {
		return l.config, l.warnings, nil
	}
	slices.SortStableFunc(l.faults, inOrder)
	return l.config, l.warnings, &Error{File: source.Name, Faults: l.faults}
}

// inOrder is the order of the file, then of the environment; within a line that of discovery.
func inOrder(a, b Fault) int {
	return cmp.Or(cmp.Compare(a.Variable, b.Variable), cmp.Compare(a.Line, b.Line))
}

// LoadFile loads the file at path, or no file when path is empty, and environ on top of it.
func LoadFile(path string, environ []string) (Config, []Warning, error) {
	source := Source{Name: path, Environ: environ}
	if path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			return Config{}, nil, fmt.Errorf("config: %w", err)
		}
		source.File = content
	}
	return Load(source)
}

// loader is one Load at work.
type loader struct {
	config   Config
	readFile func(name string) ([]byte, error)
	// origins maps each key that was given to where it stands. Its keys are paths of settings, of sections and of the entries
	// and elements inside them.
	origins map[string]origin
	// variable is the environment variable being read; empty while reading the file.
	variable string
	faults   []Fault
	warnings []Warning
}

// origin is where a value was written.
type origin struct {
	line     int
	variable string
}

// complete fills in what depends on other keys.
func (l *loader) complete() {
	c := &l.config
	// A base that was loaded before says memory although its author did not.
	_, asked := l.origins["adapter.kind"]
	if c.Adapter.Kind == "" || c.Adapter.Kind == AdapterMemory && !asked {
		c.Adapter.Kind = AdapterMemory
		if c.Redis.Configured() {
			c.Adapter.Kind = AdapterPubSub
		}
	}
	if _, asked := l.origins["engine.outbox_hard"]; !asked {
		c.Engine.OutboxHard = max(c.Engine.OutboxHard, c.Engine.Outbox)
	}
	if len(c.Server.Path) > 0 && c.Server.Path[len(c.Server.Path)-1] != '/' {
		c.Server.Path += "/"
	}
	if _, ok := c.Namespaces["/"]; !ok {
		c.Namespaces = maps.Clone(c.Namespaces)
		if c.Namespaces == nil {
			c.Namespaces = map[string]Namespace{}
		}
		c.Namespaces["/"] = Namespace{}
	}
}

// fault records that the value at key is wrong; what is said about it comes from where it was given.
func (l *loader) fault(key, format string, args ...any) {
	l.faultAt(l.originOf(key), key, format, args...)
}

func (l *loader) faultAt(at origin, key, format string, args ...any) {
	l.faults = append(l.faults, Fault{
		Key: key, Line: at.line, Variable: at.variable, Message: fmt.Sprintf(format, args...),
	})
}

// addRules adds faults of rules, but for those of keys that have one.
func (l *loader) addRules(faults []Fault) {
	known := map[string]bool{}
	for _, f := range l.faults {
		known[f.Key] = true
	}
	for _, f := range faults {
		if !known[f.Key] {
			l.faults = append(l.faults, l.located(f))
		}
	}
}

// located adds where the key of f was given.
func (l *loader) located(f Fault) Fault {
	at := l.originOf(f.Key)
	f.Variable, f.Line = at.variable, cmp.Or(f.Line, at.line)
	return f
}

func (l *loader) warn(key, format string, args ...any) {
	at := l.originOf(key)
	l.warnings = append(l.warnings, Warning{
		Key: key, Line: at.line, Variable: at.variable, Message: fmt.Sprintf(format, args...),
	})
}

// originOf returns where key was given, or what it would stand in when it was left out.
func (l *loader) originOf(key string) origin {
	for {
		if at, ok := l.origins[key]; ok {
			return at
		}
		parent, ok := parentKey(key)
		if !ok {
			return origin{}
		}
		key = parent
	}
}
