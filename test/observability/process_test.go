package observability

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/carillon-io/carillon/test/program"
)

// The files under test, as a test of this package sees them.
const (
	alertsFile    = "../../helm/carillon/files/alerts.yaml"
	dashboardFile = "../../helm/carillon/files/dashboard.json"
	runbooksFile  = "../../docs/runbooks.md"
)

// patience bounds every wait for what programs do together; generous, for a busy machine.
const patience = 60 * time.Second

// gatewayBinary is built once by TestMain.
var gatewayBinary string

func TestMain(m *testing.M) { os.Exit(program.RunWithGateway(m, &gatewayBinary)) }

// start runs a program until the test ends.
func start(t *testing.T, env []string, path string, args ...string) {
	t.Helper()
	program.Start(t, filepath.Base(path), env, path, args...)
}

// eventually polls until done says so; what it returns besides is shown when it never does.
func eventually(t *testing.T, what string, done func() (bool, any)) {
	t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, last := done()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: not within %v; last seen: %v", what, patience, last)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
