package docs_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/test/await"
)

// shell finds the commands of a page: lines of sh, and behind each the lines that it is said to show.
var shell = regexp.MustCompile("(?ms)^```sh\n(.*?)\n((?:^# .*?\n)*)^```$")

// output collects what a command says while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// shows reports whether all lines are there.
func (o *output) shows(lines []string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, line := range lines {
		if !strings.Contains(o.text.String(), line) {
			return false
		}
	}
	return true
}

// TestDoors_CommandsShowWhatThePageSays runs them, pasted, against a gateway with the page's configuration.
func TestDoors_CommandsShowWhatThePageSays(t *testing.T) {
	page, err := os.ReadFile("doors.md")
	if err != nil {
		t.Fatal(err)
	}
	cfg, warnings, err := config.Load(config.Source{File: []byte(examples(t, "doors.md")[0].config), Rules: policy.Check})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	address := strings.TrimPrefix(serve(t, cfg), "http://")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	run := func(command string) (*output, *exec.Cmd) {
		cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+strings.ReplaceAll(command, "localhost:8080", address))
		if strings.HasPrefix(command, "(") {
			cmd = exec.CommandContext(ctx, "sh", "-c", strings.ReplaceAll(command, "localhost:8080", address))
		}
		tools, err := filepath.Abs("../test")
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(os.Environ(), "PATH="+tools+"/node_modules/.bin:"+tools+"/.venv/bin:"+os.Getenv("PATH"))
		said := &output{}
		cmd.Stdout, cmd.Stderr = said, said
		cmd.WaitDelay = time.Second
		if _, err := cmd.StdinPipe(); err != nil { // one that stays open, like a terminal's
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return said, cmd
	}
	var reader *output
	var readerShows []string
	tried := map[string]bool{}
	for _, block := range shell.FindAllSubmatch(page, -1) {
		command := string(block[1])
		lines := strings.Split(strings.TrimSpace(strings.ReplaceAll("\n"+string(block[2]), "\n# ", "\n")), "\n")
		tried[regexp.MustCompile(`curl|wscat|websocat|gateway`).FindString(command)] = true
		switch {
		case strings.HasPrefix(command, "curl"):
			var cmd *exec.Cmd
			reader, cmd = run(command)
			readerShows = lines
			defer func() {
				cancel()
				_ = cmd.Wait() // it was killed
			}()
		case strings.HasPrefix(command, "gateway"): // publishing is tried by the command's own tests
		default:
			var said *output
			for range 5 { // one second may be short while the machine is busy
				var cmd *exec.Cmd
				said, cmd = run(command)
				if err := cmd.Wait(); err != nil {
					t.Errorf("%s: %v", command, err)
				}
				if said.shows(lines) {
					break
				}
			}
			if !said.shows(lines) {
				t.Errorf("%s\nsays %s\nnot %q", command, said.text.String(), lines)
			}
		}
	}
	for _, tool := range []string{"curl", "wscat", "websocat", "gateway"} {
		if !tried[tool] {
			t.Errorf("the page has no command with %s", tool)
		}
	}
	deadline := await.Deadline()
	for !reader.shows(readerShows) {
		if time.Now().After(deadline) {
			t.Fatalf("the reader shows %s, not %q", reader.text.String(), readerShows)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
