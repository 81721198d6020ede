// Package docs_test keeps the documents' code compiling.
package docs_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// imported is what the snippets may use.
var imported = []string{
	"context", "encoding/json", "errors", "log", "net/http", "regexp", "testing", "time",
	"github.com/carillon-io/carillon/pkg/adapter/redis",
	"github.com/carillon-io/carillon/pkg/engine",
	"github.com/carillon-io/carillon/pkg/socketio",
	"github.com/carillon-io/carillon/pkg/socketio/packet",
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest",
}

// given is what they find in scope: the words the document uses for things.
const given = `goredis "github.com/redis/go-redis/v9"`
const scope = `ctx context.Context, io *socketio.Server, nsp *socketio.Namespace, tenants *socketio.ParentNamespace, s *socketio.Socket, ` +
	`e socketio.Event, ack socketio.Ack, answer packet.Args, client goredis.UniversalClient, ` +
	`mux *http.ServeMux, auth func(http.Handler) http.Handler, check func(string) error`

func TestComingFromNode_GoCompiles(t *testing.T) {
	text, err := os.ReadFile("coming-from-node.md")
	if err != nil {
		t.Fatal(err)
	}
	snippets := snippets(string(text))
	if len(snippets) < 60 {
		t.Fatalf("only %d pieces of Go found in the document", len(snippets))
	}
	var source strings.Builder
	source.WriteString("package snippets\n")
	for _, path := range imported {
		fmt.Fprintf(&source, "import %q\n", path)
	}
	fmt.Fprintf(&source, "import %s\n", given)
	for _, s := range snippets {
		fmt.Fprintf(&source, "func _(%s) {\n//line coming-from-node.md:%d\n%s\n}\n", scope, s.line, s.code)
	}
	check(t, source.String())
}

// snippet is one piece of Go.
type snippet struct {
	line int
	code string
}

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	goFence  = "```go"
)

// snippets returns the code blocks in Go, and the code in table columns headed Go.
func snippets(text string) (list []snippet) {
	var block *snippet
	column := 0 // the one headed Go in this table; 0: none
	for i, line := range strings.Split(text, "\n") {
		switch {
		case block != nil && strings.HasPrefix(line, "```"):
			list = append(list, *block)
			block = nil
		case block != nil:
			block.code += line + "\n"
		case line == goFence:
			block = &snippet{line: i + 2}
		case !strings.HasPrefix(line, "|"):
			column = 0
		default:
			cells := strings.Split(line, "|")
			if column == 0 {
				for c, cell := range cells {
					if strings.TrimSpace(cell) == "Go" {
						column = c
					}
				}
			} else if column < len(cells) {
				for _, span := range codeSpan.FindAllStringSubmatch(cells[column], -1) {
					list = append(list, snippet{i + 1, statement(span[1])})
				}
			}
		}
	}
	return list
}

// statement makes an expression one, unless it can stand alone.
func statement(code string) string {
	expr, err := parser.ParseExpr(code)
	if err != nil {
		return code // a statement, or the type checker will say
	}
	if _, call := expr.(*ast.CallExpr); call {
		return code
	}
	return "_ = " + code
}

// check type-checks the source. What is declared and not used is fine in a document.
func check(t *testing.T, source string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "snippets.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	config := types.Config{
		Importer: importer.ForCompiler(files, "gc", exports(t)),
		Error: func(err error) {
			var fault types.Error
			if errors.As(err, &fault) && !fault.Soft {
				t.Error(err)
			}
		},
	}
	_, _ = config.Check("snippets", files, []*ast.File{file}, nil) // Error has told
}

// exports finds the compiled form of the packages that are imported.
func exports(t *testing.T) importer.Lookup {
	t.Helper()
	args := append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}, imported...)
	cmd := exec.Command("go", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	compiled := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		compiled[path] = file
	}
	return func(path string) (io.ReadCloser, error) { return os.Open(compiled[path]) }
}
