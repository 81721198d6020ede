package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/carillon-io/carillon/internal/api"
)

// document is the contract as it is served, with a compiler for the schemas in it: those of OpenAPI 3.1 are JSON Schema.
var document = sync.OnceValue(func() map[string]any {
	var tree map[string]any
	if err := json.Unmarshal(api.Document, &tree); err != nil {
		panic(err)
	}
	return tree
})

func compile(t *testing.T, pointer string) *jsonschema.Schema {
	t.Helper()
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(api.Document))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("http://localhost/openapi.json", tree); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("http://localhost/openapi.json#" + pointer)
	if err != nil {
		t.Fatalf("%s: %v", pointer, err)
	}
	return schema
}

// pointer makes a JSON pointer of names.
func pointer(names ...string) string {
	var p strings.Builder
	for _, name := range names {
		p.WriteString("/" + url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(name)))
	}
	return p.String()
}

// at finds a value of the contract, and follows references on the way. It returns where it is.
func at(t *testing.T, names ...string) (value any, where []string) {
	t.Helper()
	value = document()
	for i, name := range names {
		object, ok := value.(map[string]any)
		if !ok || object[name] == nil {
			return nil, nil
		}
		value, where = object[name], append(where, name)
		if ref, ok := value.(map[string]any)["$ref"].(string); ok {
			path := strings.Split(strings.TrimPrefix(ref, "#/"), "/")
			return at(t, append(path, names[i+1:]...)...)
		}
	}
	return value, where
}

// template is how the contract writes a path.
func template(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if room, ok := strings.CutPrefix(path, "/v1/rooms/"); ok && room != "" && !strings.Contains(room, "/") {
		return "/v1/rooms/{room}"
	}
	return path
}

// checkAnswer holds an answer to the contract. Paths and methods that are not in it are answered with a problem.
func checkAnswer(t *testing.T, method, path string, r *http.Response, body []byte) {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Errorf("%s %s: %v in %.200s", method, path, err, body)
		return
	}
	kind := r.Header.Get("Content-Type")
	if operation, _ := at(t, "paths", template(path), strings.ToLower(method)); operation == nil {
		if kind != "application/problem+json" {
			t.Errorf("%s %s, which is not in the contract, is answered with %d %s", method, path, r.StatusCode, kind)
		}
		return
	}
	content, where := at(t, "paths", template(path), strings.ToLower(method), "responses", fmt.Sprint(r.StatusCode), "content")
	if content == nil {
		t.Errorf("%s %s: status %d is not in the contract", method, path, r.StatusCode)
		return
	}
	if _, ok := content.(map[string]any)[kind]; !ok {
		t.Errorf("%s %s: %d as %s is not in the contract", method, path, r.StatusCode, kind)
		return
	}
	if err := compile(t, pointer(append(where, kind, "schema")...)).Validate(v); err != nil {
		t.Errorf("%s %s: %d %.300s: %v", method, path, r.StatusCode, body, err)
	}
}

// requestSchema is that of the bodies of a path.
func requestSchema(t *testing.T, path string) *jsonschema.Schema {
	t.Helper()
	return compile(t, pointer("paths", path, "post", "requestBody", "content", "application/json", "schema"))
}

func TestContract_ExamplesAreAcceptedAndFit(t *testing.T) {
	n := start(t, 1, nil)[0]
	for path, item := range document()["paths"].(map[string]any) {
		post, ok := item.(map[string]any)["post"]
		if !ok {
			continue
		}
		examples, _ := at(t, "paths", path, "post", "requestBody", "content", "application/json", "examples")
		for name, example := range examples.(map[string]any) {
			value := example.(map[string]any)["value"]
			if err := requestSchema(t, path).Validate(value); err != nil {
				t.Errorf("%s, %s: %v", path, name, err)
			}
			text, _ := json.Marshal(value)
			if r := n.post(path, string(text)); r.status >= 300 {
				t.Errorf("%s, %s: %d %s", path, name, r.status, r.body)
			}
		}
		_ = post
	}
}

func TestContract_IsServedWithoutAKey(t *testing.T) {
	n := start(t, 1, nil)[0]
	r := n.call(http.MethodGet, "/v1/openapi.json", "", http.Header{"Authorization": nil})
	r.expect(t, 200, `"openapi": "3.1.0"`)
	for name := range document()["components"].(map[string]any)["schemas"].(map[string]any) {
		compile(t, pointer("components", "schemas", name))
	}
	names := slices.Sorted(maps.Keys(document()["paths"].(map[string]any)))
	if len(names) != 8 {
		t.Errorf("paths %q", names)
	}
}
