package backend_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if address := os.Args[len(os.Args)-1]; len(os.Args) > 2 && os.Args[1] == childArgument {
		child(address)
		return
	}
	// Most tests wait for a lease to lapse: they run beside each other, however few cores there are.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
