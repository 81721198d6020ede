package adapter_test

import (
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/adaptertest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLocal_Conforms(t *testing.T) {
	adaptertest.Run(t, 1, func(*testing.T, int) []adapter.Adapter { return []adapter.Adapter{adapter.Local{}} })
}
