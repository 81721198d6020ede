package podcost_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/carillon-io/carillon/internal/podcost"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// api is the part of the Kubernetes API that patches pods.
type api struct {
	*httptest.Server
	refuse  atomic.Bool
	patches chan string // costs
	asked   chan struct{}
}

func start(t *testing.T) (*api, podcost.Pod) {
	t.Helper()
	a := &api{patches: make(chan string, 100), asked: make(chan struct{}, 100)}
	a.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { a.asked <- struct{}{} }()
		body, _ := io.ReadAll(r.Body)
		var patch struct {
			Metadata struct{ Annotations map[string]string }
		}
		switch {
		case a.refuse.Load():
			http.Error(w, `pods "carillon-1" is forbidden`, http.StatusForbidden)
		case r.Method != http.MethodPatch || r.URL.Path != "/api/v1/namespaces/chat/pods/carillon-1",
			r.Header.Get("Authorization") != "Bearer a-token", r.Header.Get("Content-Type") != "application/merge-patch+json",
			json.Unmarshal(body, &patch) != nil:
			t.Errorf("%s %s %v %s", r.Method, r.URL, r.Header, body)
		default:
			a.patches <- patch.Metadata.Annotations["controller.kubernetes.io/pod-deletion-cost"]
		}
	}))
	t.Cleanup(a.Close)
	folder := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	for name, text := range map[string]string{"token": "a-token\n", "ca.crt": string(authority)} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a, podcost.Pod{Name: "carillon-1", Namespace: "chat", Server: a.URL, Credentials: folder}
}

func TestRun_WritesTheNumberOfConnectionsWhenItChanges(t *testing.T) {
	a, pod := start(t)
	// Each look at the count moves on to the next one; the last one stays.
	counts := []int{0, 5, 100, 105, 109, 111, 99, 0, 0}
	looks := make(chan struct{})
	var at atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		podcost.Run(ctx, podcost.Config{Pod: pod, Interval: time.Microsecond, Logger: zap.NewNop(), Count: func() int {
			n := int(at.Add(1)) - 1
			if n == len(counts) {
				close(looks)
			}
			return counts[min(n, len(counts)-1)]
		}})
	})
	<-looks
	stop()
	running.Wait()
	close(a.patches)
	var got []string
	for cost := range a.patches {
		got = append(got, cost)
	}
	want := []string{"0", "5", "100", "111", "99", "0"}
	if len(got) != len(want) {
		t.Fatalf("written %q; want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("written %q; want %q", got, want)
		}
	}
}

func TestRun_TriesAgainAndSaysOnceWhatFails(t *testing.T) {
	a, pod := start(t)
	a.refuse.Store(true)
	core, logs := observer.New(zap.WarnLevel)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		podcost.Run(ctx, podcost.Config{Pod: pod, Interval: time.Microsecond, Logger: zap.New(core), Count: func() int { return 7 }})
	})
	for range 3 {
		<-a.asked
	}
	a.refuse.Store(false)
	if cost := <-a.patches; cost != "7" {
		t.Errorf("written %q; want 7", cost)
	}
	stop()
	running.Wait()
	if logs.Len() != 1 {
		t.Errorf("logged %d times; want once", logs.Len())
	}
}
