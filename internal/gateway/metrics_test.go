package gateway_test

import (
	"bytes"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sample is a line of /metrics.
func sample(name string, value int64) string {
	return name + " " + strconv.FormatFloat(float64(value), 'g', -1, 64)
}

func TestMetrics_CertificateExpiryFollowsTheFiles(t *testing.T) {
	t.Parallel()
	const name = "carillon_certificate_expiry_timestamp_seconds"
	soon, later := time.Now().Add(2*time.Hour), time.Now().Add(90*24*time.Hour)
	cert, key := newCertificateUntil(t, "one", soon)
	i, certFile, keyFile := encrypted(t, cert, key)
	i.metric(t, sample(name, soon.Unix()))

	// Of a chain the first to expire counts, whichever it is.
	cert, key = newCertificateUntil(t, "two", later)
	issuer, _ := newCertificateUntil(t, "issuer", later.Add(-time.Hour))
	save(t, keyFile, string(key))
	save(t, certFile, string(bytes.Join([][]byte{cert, issuer}, nil)))
	if err := i.Reload(); err != nil {
		t.Fatal(err)
	}
	i.metric(t, sample(name, later.Add(-time.Hour).Unix()))

	save(t, certFile, "no certificate")
	if i.Reload() == nil {
		t.Error("reloaded")
	}
	i.metric(t, sample(name, later.Add(-time.Hour).Unix())) // the one that is shown
}

func TestMetrics_WithoutTLSNothingExpires(t *testing.T) {
	t.Parallel()
	i := run(t, quick)
	i.eventually(t, http.StatusOK, "")
	if _, body := get(t, i.ops+"/metrics"); strings.Contains(body, "carillon_certificate") {
		t.Error("/metrics tells of a certificate")
	}
}

func TestMetrics_ADrainTellsItsDeadlineAndWhoIsLeft(t *testing.T) {
	t.Parallel()
	i := run(t, "drain: {delay: 0s, window: 10s}\n")
	i.eventually(t, http.StatusOK, "")
	i.metric(t, "carillon_drain_deadline_timestamp_seconds 0")
	for range 2 { // of two clients the second one is to leave in the middle of the window
		connect(t, i.clients, nil)
	}
	before := time.Now()
	i.stop()
	i.metric(t, "carillon_drain_sessions_remaining 1")
	_, body := get(t, i.ops+"/metrics")
	found := regexp.MustCompile(`(?m)^carillon_drain_deadline_timestamp_seconds (\S+)$`).FindStringSubmatch(body)
	if found == nil {
		t.Fatal("no deadline")
	}
	deadline, err := strconv.ParseFloat(found[1], 64)
	if earliest := before.Add(15 * time.Second).Unix(); err != nil || int64(deadline) < earliest || int64(deadline) > time.Now().Add(15*time.Second).Unix()+1 {
		t.Errorf("the deadline is %s, want %d, delay, window and five seconds from the beginning", found[1], earliest)
	}
}
