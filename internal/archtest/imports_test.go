package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/carillon-io/carillon/"

// allowed is the whole table of who may import whom, tests aside. A new arrow is a decision about the architecture:
// it is added here, and argued for in the change that needs it.
var allowed = map[string][]string{
	"internal/eioproto":       nil,
	"internal/frame":          {"internal/eioproto", "internal/wsframe"},
	"internal/ceiling":        nil,
	"internal/flush":          {"internal/stack", "internal/yield"},
	"internal/polling":        {"internal/eioproto", "internal/frame"},
	"internal/wsconn":         {"internal/frame", "internal/idle", "internal/wsframe"},
	"internal/idle":           nil,
	"internal/wsframe":        nil,
	"internal/outbox":         nil,
	"pkg/rooms":               nil,
	"pkg/socketio/packet":     {"internal/msgjson"},
	"internal/config":         {"internal/origin"},
	"internal/auth":           {"internal/config"},
	"internal/demo":           nil,
	"internal/bytesjson":      {"pkg/socketio/packet"},
	"internal/outbound":       nil,
	"internal/ask":            {"internal/config", "internal/outbound"},
	"internal/webhook":        {"internal/bytesjson", "internal/config", "internal/outbound", "pkg/backend", "pkg/socketio/packet"},
	"internal/api":            {"internal/bytesjson", "internal/config", "pkg/adapter", "pkg/socketio", "pkg/socketio/packet"},
	"internal/podcost":        nil,
	"internal/joined":         nil,
	"internal/msgjson":        nil,
	"internal/redisconn":      nil,
	"internal/redisqueue":     {"pkg/adapter"},
	"internal/redissub":       {"internal/redisconn", "pkg/adapter"},
	"internal/redisserver":    {"internal/redisconn", "internal/redisqueue", "internal/redissub", "pkg/adapter"},
	"internal/redispeers":     {"internal/redisconn"},
	"internal/redissessions":  {"internal/redisconn"},
	"internal/redisstream":    {"internal/redisconn", "internal/redisqueue", "pkg/adapter"},
	"internal/streamsession":  {"internal/msgjson", "internal/redisconn", "pkg/adapter"},
	"internal/redisquestions": {"internal/redispeers", "internal/rediswire", "pkg/adapter"},
	"internal/load":           nil,

	"pkg/adapter":             {"pkg/rooms", "pkg/socketio/packet"},
	"pkg/adapter/adaptertest": {"pkg/adapter", "pkg/rooms", "pkg/socketio/packet"},
	"internal/rediswire":      {"internal/msgjson", "pkg/adapter", "pkg/rooms", "pkg/socketio/packet"},
	"pkg/adapter/redis":       {"internal/joined", "internal/redisconn", "internal/redispeers", "internal/redisqueue", "internal/redisquestions", "internal/redisserver", "internal/redisstream", "internal/redissub", "internal/rediswire", "internal/streamsession", "pkg/adapter", "pkg/rooms", "pkg/socketio/packet"},
	"internal/pythonbus":      {"internal/redisconn", "pkg/adapter", "pkg/rooms", "pkg/socketio/packet"},
	"pkg/emitter":             {"internal/joined", "internal/redispeers", "internal/redisquestions", "internal/rediswire", "pkg/adapter", "pkg/rooms", "pkg/socketio/packet"},

	"pkg/backend":       {"pkg/socketio/packet"},
	"internal/upstream": {"internal/config", "internal/redisconn", "pkg/socketio/packet"},

	"pkg/engine":     {"internal/alarm", "internal/ceiling", "internal/eioproto", "internal/flush", "internal/frame", "internal/outbox", "internal/polling", "internal/stack", "internal/wsconn", "internal/wsframe"},
	"internal/relay": {"internal/idle"},

	"internal/alarm":             nil,
	"internal/stack":             nil,
	"internal/yield":             nil,
	"internal/origin":            nil,
	"internal/sio/tally":         nil,
	"internal/native":            {"internal/bytesjson", "pkg/socketio/packet"},
	"internal/sio/wire":          {"internal/native", "pkg/engine", "pkg/socketio/packet"},
	"internal/sio/conn":          {"internal/native", "internal/sio/tally", "internal/sio/wire", "pkg/engine", "pkg/socketio/packet"},
	"internal/recovery/move":     {"pkg/rooms"},
	"internal/recovery/patience": {},
	"internal/recovery":          {"internal/recovery/move", "internal/sio/wire", "pkg/rooms", "pkg/socketio/packet"},
	"internal/sio/hub":           {"internal/recovery", "internal/recovery/move", "internal/sio/tally", "internal/sio/wire", "pkg/adapter", "pkg/rooms", "pkg/socketio/packet"},
	"pkg/socketio": {
		"internal/native", "internal/origin", "internal/recovery", "internal/recovery/move", "internal/recovery/patience", "internal/sio/conn", "internal/sio/hub", "internal/sio/tally", "internal/sio/wire",
		"pkg/adapter", "pkg/engine", "pkg/rooms", "pkg/socketio/packet",
	},

	"pkg/socketio/socketiotest": {"pkg/socketio/packet"},
	"internal/celjson":          {"pkg/socketio/packet"},
	"internal/expression":       {"internal/celjson", "internal/config", "pkg/engine", "pkg/socketio/packet"},
	"internal/policytest":       {"internal/config", "internal/policy", "pkg/socketio/packet"},
	"internal/policy":           {"internal/ask", "internal/auth", "internal/celjson", "internal/config", "internal/expression", "internal/sio/conn", "pkg/adapter", "pkg/engine", "pkg/socketio", "pkg/socketio/packet"},

	"internal/gateway": {
		"internal/api", "internal/ask", "internal/auth", "internal/config", "internal/demo", "internal/msgjson", "internal/origin", "internal/podcost", "internal/policy",
		"internal/pythonbus", "internal/redissessions", "internal/rediswire", "internal/relay", "internal/upstream", "internal/webhook",
		"pkg/adapter", "pkg/adapter/redis", "pkg/emitter", "pkg/engine", "pkg/rooms", "pkg/socketio", "pkg/socketio/packet",
	},
	"cmd/gateway": {"docs", "internal/api", "internal/auth", "internal/config", "internal/gateway", "internal/load", "internal/policytest", "pkg/emitter"},

	// Examples show what users can do: with the packages under pkg/, and nothing else.
	"examples/chat":       {"pkg/socketio"},
	"examples/webhook":    nil,
	"examples/cluster":    {"pkg/adapter/redis", "pkg/socketio"},
	"examples/doors":      {"pkg/socketio"},
	"examples/middleware": {"pkg/engine", "pkg/socketio"},
	"examples/orders":     {"pkg/backend", "pkg/emitter"},
	"docs":                nil,
	"deploy/docker":       nil,

	"internal/archtest": nil,
}

// listed is what the tests need of a package as go list describes it.
type listed struct {
	ImportPath string
	Dir        string
	Imports    []string // without those of its tests
	GoFiles    []string
}

// packages returns the module's packages without the ones under test/, which may do anything.
func packages(t *testing.T) []listed {
	t.Helper()
	// The test cache goes by what a test opens, and does not see what go list reads: a walk shows it every directory.
	for _, dir := range []string{"cmd", "deploy", "docs", "examples", "internal", "pkg"} {
		root := filepath.Join("..", "..", dir)
		if err := filepath.WalkDir(root, func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatalf("walk: %v", err)
		}
	}
	// With -e packages that do not compile are listed too: that is for the compiler to tell.
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Imports,GoFiles", module+"...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		if !strings.HasPrefix(p.ImportPath, "test/") {
			all = append(all, p)
		}
	}
}

func TestImports_FollowTheTable(t *testing.T) {
	for _, p := range packages(t) {
		may, known := allowed[p.ImportPath]
		if !known {
			t.Errorf("%s is not in the table: add a line for it to allowed in this file, with the packages of ours that it "+
				"needs, and to ARCHITECTURE.md", p.ImportPath)
			continue
		}
		for _, path := range p.Imports {
			if ours, ok := strings.CutPrefix(path, module); ok && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s: the table has no such arrow. Turn the dependency round, or add the arrow to allowed "+
					"in this file with a reason in the change", p.ImportPath, ours)
			}
		}
	}
}
