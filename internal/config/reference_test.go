package config

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

// TestReference_IsCurrent makes docs/configuration.md from the structs, their comments and the defaults.
func TestReference_IsCurrent(t *testing.T) {
	const page = "../../docs/configuration.md"
	r := reference{t: t, comments: fieldComments(t)}
	r.WriteString(referenceIntroduction)
	defaults := Default()
	top := reflect.ValueOf(&defaults).Elem()
	for _, f := range fieldsOf(top.Type()) {
		fmt.Fprintf(&r, "\n## %s\n\n", f.name)
		r.entry("%s%s%s", r.comment(top.Type(), f), reloaded(f.live), missing(f.name))
		r.WriteByte('\n')
		r.describe(f.name, top.Field(f.index), f.live)
		if f.name == "namespaces" {
			r.WriteString("\nActions, in `do`:\n\n")
			r.describe("do[]", reflect.ValueOf(&Action{}).Elem(), true)
		}
	}
	written, err := os.ReadFile(page)
	if err != nil && !*update {
		t.Fatal(err)
	}
	if string(written) == r.String() {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the structs say; run make reference", page)
	}
	if err := os.WriteFile(page, []byte(r.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

const referenceIntroduction = `# Configuration

All keys, their types and defaults. ` + "`gateway config doc`" + ` prints this page, ` + "`gateway config example`" + ` a file to begin with, and
` + "`gateway config print FILE`" + ` what a file and the environment amount to. [rules.md](rules.md) explains what stands under
` + "`namespaces`" + `.

**File.** One YAML document, without substitution: ` + "`${…}`" + ` belongs to rules. An unknown key is an error that names the nearest
valid one. ` + "`gateway config check FILE`" + ` names all faults at once, and warns of what is possible and hardly meant.

**Environment.** Every key of this page outside ` + "`routes`, `namespaces`, `history` and `presence`" + ` is also a variable, and wins over the
file: ` + "`server.trusted_proxies`" + ` is ` + "`CARILLON_SERVER_TRUSTED_PROXIES`" + `. Lists are comma-separated; those four sections are one YAML
or JSON document each, such as ` + "`CARILLON_NAMESPACES`" + `. A key that is text may be read from a file, with a variable that ends in
` + "`_FILE`" + `: ` + "`CARILLON_REDIS_PASSWORD_FILE=/run/secrets/redis`" + `. An empty variable counts as not set.

**Values.** A *duration* is ` + "`500ms`, `25s`, `1m30s`, `24h`" + `. A *size* is a number of bytes, or one with a unit: ` + "`kB MB GB`" + ` are powers of
1000, ` + "`KiB MiB GiB`" + ` of 1024. An *address* is ` + "`host:port`" + `; without a host it means every interface.

**Reload.** SIGHUP, and a change of the file or of one that it names, put in force what is marked *(reloaded)*, without dropping a
connection. A file with a fault is refused whole. The other keys need a restart, which the log says once.

**Not built yet.** What is marked *(not in this version)* is one warning at start, or an error where it promises protection or
durability.
`

// reference is the page in the making.
type reference struct {
	strings.Builder
	t        *testing.T
	comments map[string]string // of fields, by type and field
}

func reloaded(live bool) string {
	if live {
		return " *(reloaded)*"
	}
	return ""
}

// missing marks a key whose part is not built.
func missing(key string) string {
	for _, u := range unbuilt {
		if u.key == key && u.asks == nil {
			return " *(not in this version)*"
		}
	}
	return ""
}

// describe writes an entry for v, which is at key, and for what stands in it.
func (r *reference) describe(key string, v reflect.Value, live bool) {
	t := v.Type()
	switch {
	case isSection(t):
		for _, f := range fieldsOf(t) {
			at, field := joinKey(key, f.name), v.Field(f.index)
			text := r.comment(t, f) + reloaded(f.live && !live) + missing(at)
			if isSection(field.Type()) {
				r.entry("- `%s`: %s", at, text)
			} else {
				r.entry("- **`%s`** (%s%s): %s", at, typeName(field), defaultOf(field, f.omitEmpty), text)
			}
			if field.Type() != reflect.TypeFor[[]Action]() {
				r.describe(at, field, live || f.live)
			}
		}
	case t.Kind() == reflect.Pointer && isSection(t.Elem()):
		r.describe(key, newEntry(t.Elem()), live)
	case t.Kind() == reflect.Map:
		r.describe(key+".<name>", newEntry(t.Elem()), live)
	case t.Kind() == reflect.Slice && isSection(t.Elem()):
		r.describe(key+"[]", newEntry(t.Elem()), live)
	}
}

// entry writes an entry of a list in lines of a length that a terminal shows.
func (r *reference) entry(format string, args ...any) {
	const longest = 120
	length := 0
	for i, word := range strings.Fields(fmt.Sprintf(format, args...)) {
		switch {
		case i == 0:
		case length+1+utf8.RuneCountInString(word) > longest:
			r.WriteString("\n  ")
			length = 2
		default:
			r.WriteByte(' ')
			length++
		}
		r.WriteString(word)
		length += utf8.RuneCountInString(word)
	}
	r.WriteByte('\n')
}

func (r *reference) comment(t reflect.Type, f field) string {
	name := t.Name() + "." + t.Field(f.index).Name
	text := r.comments[name]
	if text == "" {
		r.t.Errorf("%s has no comment", name)
	}
	return text
}

// typeName says what v holds, in the words of the introduction.
func typeName(v reflect.Value) string {
	switch v.Interface().(type) {
	case time.Duration:
		return "duration"
	case *bool, bool:
		return "true or false"
	case int:
		return "number"
	case Size:
		return "size"
	case Share:
		return "percentage or size"
	case Rate:
		return "rate"
	case Secret:
		return "secret"
	case PrivateKey:
		return "secret or file"
	case URL:
		return "URL"
	case []netip.Prefix:
		return "list of networks"
	case []Secret:
		return "list of secrets or files"
	case []URL:
		return "list of URLs"
	case Expression:
		return "CEL"
	case Value:
		return "value"
	case Patterns:
		return "text or list"
	}
	switch t := v.Type(); {
	case t.Kind() == reflect.Slice && isSection(t.Elem()):
		return "list"
	case t.Kind() == reflect.Slice:
		return "list of texts"
	case t.Kind() == reflect.String:
		return "text"
	}
	return "section"
}

func defaultOf(v reflect.Value, optional bool) string {
	if _, required := v.Interface().(Value); optional || required || v.Kind() == reflect.Pointer {
		return ""
	}
	n := encode(v)
	if n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
	text, err := yaml.Marshal(n)
	if err != nil {
		return err.Error()
	}
	return ", default `" + strings.TrimSpace(string(text)) + "`"
}

// fieldComments reads the comments of all fields in this package.
func fieldComments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, fieldName := range f.Names {
						comments[spec.Name.Name+"."+fieldName.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
					}
				}
			}
			return false
		})
	}
	return comments
}
