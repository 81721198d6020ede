package policy

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// decision is how a rule decided.
type decision uint8

const (
	allowed decision = iota
	refusedDenied
	refusedInvalid
	refusedLimited
	refusedFailed
	decisions
)

var decisionLabels = [decisions]string{"allowed", "denied", "invalid", "limited", "failed"}

// Rule labels of decisions that no rule makes. Rules cannot take these names.
const (
	labelNoRule     = "no rule"
	labelConnect    = "connect"
	labelDisconnect = "disconnect"
	labelRefresh    = refreshEvent
)

// Namespace labels beside the keys of the configuration, which begin with a slash.
const (
	labelUnknown = "unknown" // no key fits
	labelRemoved = "removed" // no key fits any more
)

func newDecisionCounter(registry prometheus.Registerer) (*prometheus.CounterVec, error) {
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_rule_decisions_total",
		Help: "What the rules decided about clients' events, by namespace (its key in the configuration) and by rule (its name, " +
			"else its position and event): allowed, denied, invalid (the arguments do not fit), limited (over a rate or limit), " +
			"failed (Redis or the cluster did not take it). connect and disconnect stand for those hooks, auth:refresh for renewed tokens, no rule for events that no " +
			"rule is about, which are denied. Namespace unknown: connects to one that the configuration does not know; removed: " +
			"sockets of one that a reload took away.",
	}, []string{"namespace", "rule", "decision"})
	if registry != nil {
		if err := registry.Register(counter); err != nil {
			return nil, fmt.Errorf("policy: register metrics: %w", err)
		}
	}
	return counter, nil
}

// tally counts the decisions of one rule, and logs refusals. Safe for concurrent use.
type tally struct {
	label  string
	counts [decisions]prometheus.Counter
	logger *zap.Logger
	logged atomic.Int64 // Unix seconds of the last refusal that was logged
}

// newTally makes every decision's count appear, at 0.
func newTally(counter *prometheus.CounterVec, logger *zap.Logger, namespace, label string) *tally {
	t := &tally{label: label, logger: logger.With(zap.String("namespace", namespace), zap.String("rule", label))}
	for d := range t.counts {
		t.counts[d] = counter.WithLabelValues(namespace, label, decisionLabels[d])
	}
	return t
}

// count counts a decision, and logs the first refusal in a minute, without anything that the client sent.
func (t *tally) count(r *refusal) {
	t.counts[r.decision()].Inc()
	if r == nil {
		return
	}
	last, now := t.logged.Load(), time.Now().Unix()
	if now-last >= int64(time.Minute/time.Second) && t.logged.CompareAndSwap(last, now) {
		t.logger.Info("refused", zap.String("code", string(r.code)))
	}
}
