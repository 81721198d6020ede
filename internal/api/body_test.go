package api_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/carillon-io/carillon/internal/api"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/test/await"
)

// endless is a body of any length.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p, bytes.Repeat([]byte("[1,"), len(p)/3+1))
	e.left -= int64(n)
	return n, nil
}

func TestBody_LargeOnesAreRefusedEarly(t *testing.T) {
	n := start(t, 1, func(c *api.Config) { c.MaxBody, c.MaxEvent = 10_000, 500 })[0]
	const length = 100 << 20
	for name, known := range map[string]int64{"length known": length, "chunked": -1} {
		body := &endless{length}
		r := httptest.NewRequest(http.MethodPost, "/v1/emit", body)
		r.ContentLength = known
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		n.api.ServeHTTP(w, r)
		if w.Code != 413 || length-body.left > 32_000 {
			t.Errorf("%s: %d %s after %d bytes", name, w.Code, w.Body, length-body.left)
		}
	}
	fits := `{"all":true,"event":"e","args":["` + strings.Repeat("x", 480) + `"]}`
	n.post("/v1/emit", fits).expect(t, 202, "")
	n.post("/v1/emit", `[`+fits+`,`+strings.Replace(fits, "x", strings.Repeat("x", 30), 1)+`]`).expect(t, 413, "adapter.max_message")
	n.call("POST", "/v1/emit", fits, http.Header{"Content-Encoding": {"gzip"}}).expect(t, 415, "compressed")
	n.call("POST", "/v1/emit", fits, http.Header{"Content-Encoding": {"identity"}, "Content-Type": {"text/plain"}}).expect(t, 202, "")
	many := `[` + strings.Repeat(`{"all":true,"event":"e"},`, 300) + `{"all":true,"event":"e"}]`
	n.post("/v1/emit", many).expect(t, 202, `{"accepted":301}`)
}

func TestBody_NamesOfRoomsCountForTheMessage(t *testing.T) {
	n := start(t, 2, func(c *api.Config) { c.MaxEvent = 1000 })[0]
	names := func(count int) string {
		return `["` + strings.Join(slices.Repeat([]string{strings.Repeat("r", 96)}, count), `","`) + `"]`
	}
	half := `"` + strings.Repeat("x", 450) + `"`
	for _, c := range []struct {
		path, body string
		fits       bool
	}{
		{"/v1/emit", `{"rooms":` + names(5) + `,"event":"e","args":[` + half + `]}`, true},
		{"/v1/emit", `{"rooms":` + names(6) + `,"event":"e","args":[` + half + `]}`, false},
		{"/v1/emit", `{"all":true,"except":` + names(6) + `,"event":"e","args":[` + half + `]}`, false},
		{"/v1/emit", `[{"all":true,"event":"e"},{"rooms":` + names(6) + `,"except":` + names(6) + `,"event":"e"}]`, false},
		{"/v1/emit", `{"rooms":["` + strings.Repeat(`\u0001`, 170) + `"],"event":"e"}`, false}, // written with six bytes for each
		{"/v1/emit-with-ack", `{"all":true,"except":` + names(11) + `,"event":"e"}`, false},
		{"/v1/sockets/join", `{"rooms":["a"],"join":` + names(9) + `}`, true},
		{"/v1/sockets/join", `{"rooms":["a"],"join":` + names(11) + `}`, false},
		{"/v1/sockets/leave", `{"rooms":` + names(6) + `,"leave":` + names(6) + `}`, false},
		{"/v1/sockets/disconnect", `{"all":true,"except":` + names(11) + `}`, false},
		{"/v1/sockets/list", `{"rooms":` + names(700) + `}`, false},
	} {
		got := n.post(c.path, c.body)
		if c.fits && got.status >= 300 {
			t.Errorf("%s %.100s: %d %s", c.path, c.body, got.status, got.body)
		}
		if !c.fits {
			got.expect(t, 413, "adapter.max_message")
		}
	}
}

func TestBody_SlowOnesAreRefused(t *testing.T) {
	n := start(t, 1, func(c *api.Config) { c.BodyTime = 50 * time.Millisecond })[0]
	for name, request := range map[string]string{
		"nothing comes":   "Content-Length: 30\r\n\r\n",
		"it stops midway": "Content-Length: 30\r\n\r\n{\"all\":",
		"chunked":         "Transfer-Encoding: chunked\r\n\r\n2\r\n{\"\r\n",
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /v1/emit HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s", key, request)
		answer, _ := io.ReadAll(c)
		_ = c.Close()
		if !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(string(answer), `"code":"too_slow"`) {
			t.Errorf("%s: %s", name, answer)
		}
	}
}

func TestAnswers_ThatAreNotReadEndTheConnection(t *testing.T) {
	n := start(t, 1, func(c *api.Config) { c.BodyTime = 50 * time.Millisecond })[0]
	c, err := net.Dial("tcp", strings.TrimPrefix(n.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetWriteDeadline(await.Deadline()) // for a server that waits for ever
	request := []byte(strings.Repeat("GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n", 1000))
	for err == nil {
		_, err = c.Write(request)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open although its client reads nothing")
	}
}

func TestBody_ThatEndsEarlyIsRefused(t *testing.T) {
	n := start(t, 1, nil)[0]
	r := httptest.NewRequest(http.MethodPost, "/v1/emit", io.MultiReader(strings.NewReader(`{"all":true,`), broken{}))
	r.ContentLength = 100
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	n.api.ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "ended early") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRate_IsThatOfTheKey(t *testing.T) {
	n := start(t, 1, nil)[0]
	n.api.SetRate(1, 3)
	body := `{"all":true,"event":"e"}`
	n.post("/v1/emit", body).expect(t, 202, "")
	n.post("/v1/emit", `[`+body+`,`+body+`]`).expect(t, 202, "") // two events
	r := n.post("/v1/emit", body)
	if r.expect(t, 429, `"code":"overloaded"`); r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	n.api.SetRate(0, 0)
	n.post("/v1/emit", body).expect(t, 202, "")
}

func TestMetrics_CountCallsByStatus(t *testing.T) {
	registry := prometheus.NewRegistry()
	requests, err := api.NewRequests(registry)
	if err != nil {
		t.Fatal(err)
	}
	n := start(t, 1, func(c *api.Config) { c.Requests = requests })[0]
	n.post("/v1/emit", `{"all":true,"event":"e"}`)
	n.post("/v1/emit", `{}`)
	n.call("GET", "/nothing/here", "", nil)
	n.call("GET", "/v1/rooms/red", "", nil)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got, all := map[string]float64{}, 0
	for _, m := range families[0].GetMetric() {
		all++
		if v := m.GetCounter().GetValue(); v > 0 {
			got[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = v
		}
	}
	if fmt.Sprint(got) != "map[emit 202:1 emit 400:1 room 200:1 unknown 404:1]" || all != 9*13 {
		t.Errorf("%d series, %v", all, got)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

func TestKeys_AreReadFromTextsAndFiles(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, content string) string {
		t.Helper()
		writeFile(t, dir+"/"+name, content)
		return dir + "/" + name
	}
	file := write("keys", "first\r\n\n  second  \n")
	keys, err := api.NewKeys([]config.Secret{"third", config.Secret(file), "./keys"})
	if err != nil {
		t.Fatal(err)
	}
	n := start(t, 1, func(c *api.Config) { c.Keys = keys })[0]
	try := func(key string, status int) {
		t.Helper()
		n.call("GET", "/v1/rooms/red", "", http.Header{"Authorization": {"Bearer " + key}}).expect(t, status, "")
	}
	for _, key := range []string{"first", "second", "third"} {
		try(key, 200)
	}
	try(key, 401)
	write("keys", "second\nfourth\n")
	replace, err := keys.Prepare([]config.Secret{config.Secret(file)})
	if err != nil {
		t.Fatal(err)
	}
	try("first", 200) // not yet
	replace()
	for key, status := range map[string]int{"first": 401, "second": 200, "third": 401, "fourth": 200} {
		try(key, status)
	}
	for entry, want := range map[string]string{
		"":                   "holds no key",
		" \n ":               "holds no key",
		"two words":          "white space",
		"ключ":               "outside ASCII",
		dir + "/none":        "no such file",
		"./none":             "no such file",
		write("empty", "\n"): "holds no key",
		"keys":               "write it as ./keys",
		write("big", strings.Repeat("k\n", 1<<20)): "larger",
	} {
		_, err := api.NewKeys([]config.Secret{"good", config.Secret(entry)})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "api.keys[1]") {
			t.Errorf("%.20q: %v", entry, err)
		}
	}
	if files := api.KeyFiles([]config.Secret{"a", "./b", "/c"}); fmt.Sprint(files) != "[./b /c]" {
		t.Errorf("files %q", files)
	}
}
