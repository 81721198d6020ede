package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// process names what a package may not take from the process around it, by import path; nil stands for the whole
// package.
var process = map[string][]string{
	"flag":                   nil,
	"github.com/spf13/cobra": nil,
	"github.com/spf13/pflag": nil,
	"os":                     {"Args", "Environ", "ExpandEnv", "Getenv", "LookupEnv"},
	"syscall":                {"Environ", "Getenv"},
}

// Everything below a command is told what it needs, so that two nodes can live in one process and a test can be one.
// Examples are commands of their own.
func TestProcess_OnlyTheCommandReadsFlagsAndEnvironment(t *testing.T) {
	each(t, func(p listed, name string, file *ast.File, fset *token.FileSet) {
		if p.ImportPath == "cmd/gateway" || strings.HasPrefix(p.ImportPath, "examples/") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if ok && slices.Contains(process[imported(file, pkg.Name)], sel.Sel.Name) {
				t.Errorf("%s: %s.%s is for cmd/gateway only: take the value as an argument",
					fset.Position(n.Pos()), pkg.Name, sel.Sel.Name)
			}
			return true
		})
		for _, path := range imports(file) {
			if names, found := process[path]; found && names == nil {
				t.Errorf("%s imports %s, which is for cmd/gateway only", name, path)
			}
		}
	})
}

// The keys of the configuration are read in one place; the others are given a struct.
func TestConfiguration_OnlyConfigKnowsItsKeys(t *testing.T) {
	each(t, func(p listed, name string, file *ast.File, _ *token.FileSet) {
		if p.ImportPath == "internal/config" || p.ImportPath == "internal/policytest" { // which reads cases
			return
		}
		for _, path := range imports(file) {
			if strings.Contains(path, "/yaml") {
				t.Errorf("%s imports %s: only internal/config reads configuration", name, path)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if field, ok := n.(*ast.Field); ok && field.Tag != nil && strings.Contains(field.Tag.Value, "yaml:") {
				t.Errorf("%s: tag %s names a configuration key: only internal/config knows keys", name, field.Tag.Value)
			}
			return true
		})
	})
}

// each parses the files of every package, tests aside.
func each(t *testing.T, visit func(p listed, name string, file *ast.File, fset *token.FileSet)) {
	t.Helper()
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			name = filepath.Join(p.Dir, name)
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Errorf("parse %s: %v", name, err)
				continue
			}
			visit(p, name, file, fset)
		}
	}
}

func imports(file *ast.File) []string {
	var paths []string
	for _, spec := range file.Imports {
		paths = append(paths, path(spec))
	}
	return paths
}

// imported returns the path that a file's name for a package stands for.
func imported(file *ast.File, name string) string {
	for _, spec := range file.Imports {
		p := path(spec)
		if spec.Name != nil && spec.Name.Name == name || spec.Name == nil && p == name {
			return p
		}
	}
	return ""
}

func path(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return "" // the parser has seen to that
	}
	return p
}
