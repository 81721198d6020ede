package e2e

import (
	"os"
	"testing"
	"time"

	"github.com/carillon-io/carillon/test/program"
)

// patience is for what happens within milliseconds on a machine with nothing else to do.
const patience = 60 * time.Second

// gatewayBinary is built once, with the race detector, by TestMain.
var gatewayBinary string

func TestMain(m *testing.M) { os.Exit(program.RunWithGateway(m, &gatewayBinary, "-race")) }

// start runs a program until the test ends. A race in it ends it at once.
func start(t *testing.T, name, path string, args ...string) *program.Program {
	t.Helper()
	return startWith(t, name, nil, path, args...)
}

// startWith is start with variables of the program's own, as KEY=value.
func startWith(t *testing.T, name string, env []string, path string, args ...string) *program.Program {
	t.Helper()
	return program.Start(t, name, append([]string{"GORACE=halt_on_error=1"}, env...), path, args...)
}
