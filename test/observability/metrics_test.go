package observability

import (
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/carillon-io/carillon/test/redistest"
)

// promise is the kind of a metric, and its labels with all their values; nil: values come from the configuration.
type promise struct {
	kind   dto.MetricType
	labels map[string][]string
}

// contract is every metric that is promised by name.
var contract = map[string]promise{
	"carillon_connections": {dto.MetricType_GAUGE, map[string][]string{"transport": {"polling", "websocket", "native", "sse"}}},
	"carillon_sockets":     {dto.MetricType_GAUGE, map[string][]string{"namespace": nil}},
	"carillon_rooms":       {dto.MetricType_GAUGE, nil},
	"carillon_handshakes_total": {dto.MetricType_COUNTER, map[string][]string{
		"transport": {"polling", "websocket", "native", "sse"},
		"result": {
			"ok", "bad method", "bad request", "forbidden", "unsupported version", "unavailable", "too many", "too many of address",
		},
	}},
	"carillon_disconnects_total": {dto.MetricType_COUNTER, map[string][]string{"reason": {
		"transport error", "transport close", "forced close", "ping timeout", "parse error", "slow consumer",
		"server shutting down", "limit",
	}}},
	"carillon_packets_total": {dto.MetricType_COUNTER, map[string][]string{
		"direction": {"in", "out"},
		"type":      {"open", "close", "ping", "pong", "message", "upgrade", "noop"},
	}},
	"carillon_bytes_total": {dto.MetricType_COUNTER, map[string][]string{
		"direction": {"in", "out"}, "transport": {"polling", "websocket", "native", "sse"},
	}},
	"carillon_broadcasts_total":     {dto.MetricType_COUNTER, map[string][]string{"origin": {"local", "remote"}}},
	"carillon_deliveries_total":     {dto.MetricType_COUNTER, nil},
	"carillon_delivery_seconds":     {dto.MetricType_HISTOGRAM, nil},
	"carillon_outbox_bytes":         {dto.MetricType_GAUGE, nil},
	"carillon_slow_consumers_total": {dto.MetricType_COUNTER, nil},
	"carillon_redis_up":             {dto.MetricType_GAUGE, nil},
	"carillon_redis_messages_total": {dto.MetricType_COUNTER, map[string][]string{"direction": {"in", "out"}}},
	"carillon_redis_publish_queue":  {dto.MetricType_GAUGE, nil},
	"carillon_redis_publish_dropped_total": {dto.MetricType_COUNTER, map[string][]string{"reason": {
		"full", "age", "unknown", "refused", "invalid", "trimmed", "shutdown",
	}}},
	"carillon_redis_resubscribes_total":   {dto.MetricType_COUNTER, nil},
	"carillon_redis_stream_trimmed_total": {dto.MetricType_COUNTER, nil},
	"carillon_redis_stream_lag_seconds":   {dto.MetricType_GAUGE, nil},
	"carillon_redis_streams_differ":       {dto.MetricType_GAUGE, nil},
	"carillon_redis_probe_seconds":        {dto.MetricType_HISTOGRAM, nil},
	"carillon_python_up":                  {dto.MetricType_GAUGE, nil},
	"carillon_python_messages_total":      {dto.MetricType_COUNTER, map[string][]string{"direction": {"in", "out"}}},
	"carillon_python_dropped_total": {dto.MetricType_COUNTER, map[string][]string{
		"direction": nil, // each reason has one
		"reason": {
			"pickle", "malformed", "too_large", "unknown_method", "unasked", "unsupported", "full", "age", "refused", "unknown", "shutdown",
		},
	}},
	"carillon_rule_decisions_total": {dto.MetricType_COUNTER, map[string][]string{
		"namespace": nil, "rule": nil, "decision": {"allowed", "denied", "invalid", "limited", "failed"},
	}},
	"carillon_upstream_events_total": {dto.MetricType_COUNTER, map[string][]string{
		"route": nil, "result": {"stored", "overloaded", "unavailable", "invalid", "lost", "gone"},
	}},
	"carillon_upstream_append_seconds": {dto.MetricType_HISTOGRAM, map[string][]string{"route": nil}},
	"carillon_upstream_lag":            {dto.MetricType_GAUGE, map[string][]string{"route": nil, "group": nil}},
	"carillon_webhook_requests_total": {dto.MetricType_COUNTER, map[string][]string{
		"route":  nil,
		"result": {"accepted", "rejected", "throttled", "failed", "timeout", "unreachable", "private", "malformed"},
	}},
	"carillon_relay_requests_total": {dto.MetricType_COUNTER, map[string][]string{"result": {
		"ok", "unknown", "malformed", "no_owner", "limited", "unready", "dead", "slow", "refused", "too_large", "overload", "cancelled",
		"failed",
	}}},
	"carillon_acks_total": {dto.MetricType_COUNTER, map[string][]string{"result": {
		"answered", "timeout", "canceled", "disconnected", "unexpected",
	}}},
	"carillon_api_requests_total": {dto.MetricType_COUNTER, map[string][]string{
		"call": {
			"emit", "emit_with_ack", "sockets_list", "sockets_join", "sockets_leave", "sockets_disconnect", "room", "openapi", "unknown",
		},
		"code": {"200", "202", "400", "401", "404", "405", "408", "409", "413", "415", "422", "429", "503"},
	}},
	"carillon_connect_asks_total": {dto.MetricType_COUNTER, map[string][]string{"result": {
		"allowed", "denied", "cached", "overloaded", "timeout", "unreachable", "private", "status", "too_large", "malformed",
	}}},
	"carillon_recoveries_total": {dto.MetricType_COUNTER, map[string][]string{"result": {
		"recovered", "moved", "expired", "unknown", "refused", "truncated", "unreached",
	}}},
	"carillon_recovery_refusals_total": {dto.MetricType_COUNTER, map[string][]string{"reason": {
		"ended", "waited", "never_had", "node_gone", "namespace", "immobile", "unreached", "disconnected", "alive", "late", "subject",
		"log", "journal", "offset", "stream",
	}}},
	"carillon_recovery_move_failures_total": {dto.MetricType_COUNTER, map[string][]string{"reason": {
		"other", "unreached", "declined", "malformed", "registry", "fence", "raced", "busy", "memory", "left",
	}}},
	"carillon_recovery_absent_sockets":  {dto.MetricType_GAUGE, nil},
	"carillon_recovery_log_bytes":       {dto.MetricType_GAUGE, nil},
	"carillon_recovery_move_seconds":    {dto.MetricType_HISTOGRAM, nil},
	"carillon_drain_sessions_remaining": {dto.MetricType_GAUGE, nil},
	"carillon_config_reload_success":    {dto.MetricType_GAUGE, nil},
	"carillon_jwks_keys":                {dto.MetricType_GAUGE, nil},
	"carillon_jwks_fetches_total": {dto.MetricType_COUNTER, map[string][]string{
		"result": {"ok", "timeout", "unreachable", "status", "redirect", "too_large", "malformed"},
	}},
	"carillon_build_info": {dto.MetricType_GAUGE, map[string][]string{"version": nil, "go": nil}},
}

// streams are the metrics that only nodes with adapter.kind: streams have.
var streams = map[string]promise{
	"carillon_stream_sessions":               {dto.MetricType_GAUGE, nil},
	"carillon_stream_sessions_written_total": {dto.MetricType_COUNTER, nil},
	"carillon_stream_sessions_renewed_total": {dto.MetricType_COUNTER, nil},
	"carillon_stream_sessions_failed_total":  {dto.MetricType_COUNTER, nil},
	"carillon_stream_sessions_taken_total":   {dto.MetricType_COUNTER, nil},
}

// scrape is what /metrics says, and the same parsed.
func scrape(t *testing.T, n node) (text string, families map[string]*dto.MetricFamily) {
	t.Helper()
	_, text = get("http://" + n.ops + "/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return text, families
}

func TestMetrics_AreThoseOfTheContractWithAllTheirSeriesFromTheStart(t *testing.T) {
	_, families := scrape(t, startNode(t, redistest.Start(t).URL(), "", nil))
	checkPromises(t, families, contract)
}

func TestMetrics_OfStreamsAreThoseOfTheContract(t *testing.T) {
	_, families := scrape(t, startNode(t, redistest.Start(t).URL(), "", []string{"CARILLON_ADAPTER_KIND=streams"}))
	checkPromises(t, families, contract)
	checkPromises(t, families, streams)
	checkHelp(t, families)
}

func checkPromises(t *testing.T, families map[string]*dto.MetricFamily, promised map[string]promise) {
	t.Helper()
	for name, want := range promised {
		family := families[name]
		if family == nil {
			t.Errorf("%s is missing", name)
			continue
		}
		if family.GetType() != want.kind {
			t.Errorf("%s is a %v, want a %v", name, family.GetType(), want.kind)
		}
		series := 1
		for _, values := range want.labels {
			series *= max(len(values), 1)
		}
		if got := len(family.GetMetric()); got < series {
			t.Errorf("%s has %d series from the start, want %d", name, got, series)
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetName())
				if values := want.labels[label.GetName()]; values != nil && !slices.Contains(values, label.GetValue()) {
					t.Errorf("%s: %s=%q is not of the closed set", name, label.GetName(), label.GetValue())
				}
			}
			if expected := slices.Sorted(maps.Keys(want.labels)); !slices.Equal(slices.Sorted(slices.Values(labels)), expected) {
				t.Errorf("%s has labels %v, want %v", name, labels, expected)
			}
		}
	}
}

// A help text is read in Grafana by who has never seen the code: a few words that repeat the name are none.
func TestMetrics_SayWhatTheyMean(t *testing.T) {
	_, families := scrape(t, startNode(t, redistest.Start(t).URL(), "", nil))
	checkHelp(t, families)
}

func checkHelp(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	for name, family := range families {
		if strings.HasPrefix(name, "carillon_") && len(family.GetHelp()) < 50 {
			t.Errorf("%s is explained in few words: %q", name, family.GetHelp())
		}
	}
}

// promtool contradicts no name of the contract; any complaint fails.
func TestMetrics_PassPromtool(t *testing.T) {
	for _, n := range both(startCluster(t)) {
		text, _ := scrape(t, n)
		check := exec.Command("promtool", "check", "metrics")
		check.Stdin = strings.NewReader(text)
		if said, err := check.CombinedOutput(); err != nil || len(said) > 0 {
			t.Errorf("promtool: %v\n%s", err, said)
		}
	}
}

func both(a, b node) []node { return []node{a, b} }
