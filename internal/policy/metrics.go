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

// Rule labels of what is decided by no rule. Rules cannot take these names.
const (
	labelNoRule     = "no rule"
	labelConnect    = "connect"
	labelDisconnect = "disconnect"
	labelRefresh    = refreshEvent
)

func newDecisionCounter(registry prometheus.Registerer) (*prometheus.CounterVec, error) {
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_rule_decisions_total",
		Help: "What the rules decided about clients' events, by namespace (its key in the configuration) and by rule (its name, " +
			"else its position and event): allowed, denied, invalid (the arguments do not fit), limited (over a rate or limit), " +
			"failed (Redis or the cluster did not take it). connect and disconnect stand for those hooks, auth:refresh for renewed tokens, no rule for events that no " +
			"rule is about, which are denied.",
	}, []string{"namespace", "rule", "decision"})
	if registry != nil {
		if err := registry.Register(counter); err != nil {
			return nil, fmt.Errorf("policy: register metrics: %w", err)
		}
	}
	return counter, nil
}

// judge counts and reports what one rule decided. Safe for concurrent use.
type judge struct {
	label  string
	counts [decisions]prometheus.Counter
	logger *zap.Logger
	logged atomic.Int64 // Unix seconds of the last refusal that was logged
}

// newJudge makes every decision's count appear, at 0.
func newJudge(counter *prometheus.CounterVec, logger *zap.Logger, namespace, label string) *judge {
	j := &judge{label: label, logger: logger.With(zap.String("namespace", namespace), zap.String("rule", label))}
	for d := range j.counts {
		j.counts[d] = counter.WithLabelValues(namespace, label, decisionLabels[d])
	}
	return j
}

// count counts a decision, and logs the first refusal in a minute. What the client sent stays out of the log: only a
// debug log names the cause.
func (j *judge) count(r *refusal) {
	j.counts[r.decision()].Inc()
	if r == nil {
		return
	}
	last, now := j.logged.Load(), time.Now().Unix()
	if now-last < int64(time.Minute/time.Second) || !j.logged.CompareAndSwap(last, now) {
		return
	}
	j.logger.Info("refused", zap.String("code", string(r.code)))
	if r.cause != nil {
		j.logger.Debug("refused because", zap.Error(r.cause))
	}
}
