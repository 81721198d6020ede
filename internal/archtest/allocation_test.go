package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// The race detector allocates by itself, so allocations are counted in a run without it, which knows its tests by this
// in their names: make allocations.
const counted = "Alloc"

// A test that counts under another name would run only where the count means nothing.
func TestAllocations_AreCountedByTestsThatSaySo(t *testing.T) {
	files := 0
	for _, dir := range []string{"internal", "pkg"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(name string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, "_test.go") {
				return err
			}
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			counts, says := false, false
			for _, declaration := range file.Decls {
				f, ok := declaration.(*ast.FuncDecl)
				if !ok {
					continue
				}
				test := strings.HasPrefix(f.Name.Name, "Test")
				named := test && strings.Contains(f.Name.Name, counted)
				says = says || named
				if !countsAllocations(f) {
					continue
				}
				counts = true
				if test && !named {
					t.Errorf("%s: %s counts allocations, and has no %q in its name", fset.Position(f.Pos()), f.Name.Name, counted)
				}
			}
			if counts {
				files++
			}
			if counts && !says {
				t.Errorf("%s counts allocations, and no test in it has %q in its name", name, counted)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files == 0 {
		t.Error("nothing counts allocations")
	}
}

func countsAllocations(f *ast.FuncDecl) (counts bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, ok := n.(*ast.SelectorExpr)
		counts = counts || ok && call.Sel.Name == "AllocsPerRun"
		return !counts
	})
	return counts
}
