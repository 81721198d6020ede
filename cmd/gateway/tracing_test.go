package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/carillon-io/carillon/pkg/emitter"
)

func TestServe_SendsTracesToTheCollectorOfTheEnvironment(t *testing.T) {
	t.Parallel()
	type export struct{ path, contentType, key, body string }
	exports := make(chan export, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a part of it is a failure below
		exports <- export{r.URL.Path, r.Header.Get("Content-Type"), r.Header.Get("Key"), string(body)}
	}))
	defer collector.Close()
	server := miniredis.RunT(t)
	p := start(t, []string{
		"CARILLON_SERVER_ADDRESS=127.0.0.1:0", "CARILLON_OPS_ADDRESS=127.0.0.1:0", "CARILLON_DRAIN_DELAY=0s",
		"CARILLON_DRAIN_WINDOW=0s", "CARILLON_REDIS_URL=redis://" + server.Addr(),
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL, "OTEL_EXPORTER_OTLP_HEADERS=key=value",
		"OTEL_SERVICE_NAME=chimes", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=lab", "OTEL_BSP_SCHEDULE_DELAY=1",
	}, "serve")
	p.says(`"msg":"subscribed"`)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer client.Close()
	if err := emitter.New(client, emitter.Config{}).Emit(t.Context(), "note", "the payload"); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-exports:
		if got.path != "/v1/traces" || got.contentType != "application/x-protobuf" || got.key != "value" {
			t.Errorf("%s of type %s with key %q", got.path, got.contentType, got.key)
		}
		for _, want := range []string{"receive", "carillon.node", "service.name", "chimes", "deployment.environment.name", "lab"} {
			if !strings.Contains(got.body, want) {
				t.Errorf("no %q in %q", want, got.body)
			}
		}
		if strings.Contains(got.body, "the payload") {
			t.Errorf("the payload is in %q", got.body)
		}
	case <-time.After(time.Minute):
		t.Errorf("no traces came; it said:\n%s", p.output.String())
	}
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != exitClean {
		t.Errorf("exit %d; it said:\n%s", code, p.output.String())
	}
}

const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

func TestTracing_IsOffUnlessTheEnvironmentWantsIt(t *testing.T) {
	for name, environ := range map[string][]string{
		"no collector": {},
		"disabled":     {endpoint, "http://collector:4318", "OTEL_SDK_DISABLED", "true"},
		"no exporter":  {endpoint, "http://collector:4318", "OTEL_TRACES_EXPORTER", "none"},
		"never":        {endpoint, "http://collector:4318", "OTEL_TRACES_SAMPLER", "parentbased_always_off"},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t, environ)
			if got, err := tracing(t.Context()); got != nil || err != nil {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestTracing_SamplersOfTheEnvironment(t *testing.T) {
	low, high := trace.TraceID{8: 0x10}, trace.TraceID{8: 0xf0} // of 0 to 0xff
	for name, c := range map[string]struct {
		environ   []string
		low, high bool
	}{
		"default":  {nil, true, true},
		"on":       {[]string{"OTEL_TRACES_SAMPLER", "always_on"}, true, true},
		"no ratio": {[]string{"OTEL_TRACES_SAMPLER", "traceidratio"}, true, true},
		"half":     {[]string{"OTEL_TRACES_SAMPLER", "traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.5"}, true, false},
		"parent":   {[]string{"OTEL_TRACES_SAMPLER", "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG", "0.5"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			setenv(t, append(c.environ, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector"))
			got, err := tracing(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for id, want := range map[trace.TraceID]bool{low: c.low, high: c.high} {
				decision := got.Sampler.ShouldSample(sdktrace.SamplingParameters{ParentContext: t.Context(), TraceID: id}).Decision
				if (decision == sdktrace.RecordAndSample) != want {
					t.Errorf("%s: %v", id, decision)
				}
			}
		})
	}
}

func TestServe_MistakeInTheEnvironmentOfTracingExitsWith2AndNamesTheVariable(t *testing.T) {
	t.Parallel()
	for variable, values := range map[string][]string{
		endpoint:                             {"collector:4318", "grpc://collector", "http://", "http://%"},
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": {"collector:4318"},
		"OTEL_EXPORTER_OTLP_PROTOCOL":        {"grpc"},
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": {"grpc"},
		"OTEL_TRACES_EXPORTER":               {"zipkin", "otlp,console"},
		"OTEL_TRACES_SAMPLER":                {"sometimes", "parentbased_"},
		"OTEL_TRACES_SAMPLER_ARG":            {"much", "-0.1", "1.1", "NaN"},
		"OTEL_RESOURCE_ATTRIBUTES":           {"nonsense"},
	} {
		for _, value := range values {
			t.Run(variable+"="+value, func(t *testing.T) {
				t.Parallel()
				environ := []string{endpoint + "=http://collector:4318", "OTEL_TRACES_SAMPLER=traceidratio", variable + "=" + value}
				p := start(t, environ, "serve")
				if code := p.wait(); code != exitUsage || !strings.Contains(p.output.String(), "gateway: "+variable+": ") {
					t.Errorf("exit %d; it said:\n%s", code, p.output.String())
				}
			})
		}
	}
}

func setenv(t *testing.T, environ []string) {
	t.Helper()
	for n := 0; n < len(environ); n += 2 {
		t.Setenv(environ[n], environ[n+1])
	}
}
