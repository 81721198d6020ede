// Package podcost tells Kubernetes how many connections a pod has, as its controller.kubernetes.io/pod-deletion-cost: a
// scale-down then takes the pod with the fewest. It needs the right to patch pods in its own namespace and nothing else.
//
// One goroutine, the caller's. The number is written when it has changed by a tenth, at most every Interval, as Kubernetes
// asks of those who write this annotation.
package podcost

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
)

// annotation is read by the ReplicaSet controller: of two pods, the one with the lower cost goes first.
const annotation = "controller.kubernetes.io/pod-deletion-cost"

// Pod says where a process runs.
type Pod struct {
	Name, Namespace string
	// Server is the base URL of the Kubernetes API.
	Server string
	// Credentials is the folder with the service account's token and ca.crt, both of which Kubernetes renews.
	Credentials string
}

// Config is what Run needs.
type Config struct {
	Pod      Pod
	Count    func() int    // connections of this process
	Interval time.Duration // default 30 s
	Logger   *zap.Logger
}

const (
	defaultInterval = 30 * time.Second
	requestTimeout  = 10 * time.Second
)

// Run writes the number of connections until ctx ends. What fails is tried again at the next Interval; a right that is
// lacking is logged once.
func Run(ctx context.Context, cfg Config) {
	if cfg.Interval == 0 {
		cfg.Interval = defaultInterval
	}
	tick := time.NewTicker(cfg.Interval)
	defer tick.Stop()
	written, failing := -1, false
	for {
		if count := cfg.Count(); differs(written, count) {
			err := write(ctx, cfg.Pod, count)
			switch {
			case err == nil:
				written, failing = count, false
			case ctx.Err() == nil && !failing:
				failing = true
				cfg.Logger.Warn("the pod's deletion cost cannot be written", zap.Error(err))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// differs reports whether a change is worth writing: nothing was written yet, a tenth more or less, or none left.
func differs(written, count int) bool {
	if written < 0 || (written == 0) != (count == 0) {
		return true
	}
	return max(written-count, count-written)*10 > written
}

// write patches the pod. The connection is closed again: it is used twice a minute at most.
func write(ctx context.Context, pod Pod, count int) error {
	client, token, err := connect(pod)
	if err != nil {
		return fmt.Errorf("podcost: read credentials: %w", err)
	}
	defer client.CloseIdleConnections()
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]string{annotation: strconv.Itoa(count)}},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	address, err := url.JoinPath(pod.Server, "api/v1/namespaces", pod.Namespace, "pods", pod.Name)
	if err != nil {
		return fmt.Errorf("podcost: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPatch, address, bytes.NewReader(patch))
	if err != nil {
		return fmt.Errorf("podcost: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/merge-patch+json")
	response, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("podcost: patch pod: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // the status says it all
	if response.StatusCode != http.StatusOK {
		reason, _ := io.ReadAll(io.LimitReader(response.Body, 1024)) // for the log
		return fmt.Errorf("podcost: patch pod: %s: %s", response.Status, bytes.TrimSpace(reason))
	}
	return nil
}

// connect reads the credentials anew each time: tokens expire.
func connect(pod Pod) (*http.Client, string, error) {
	token, err := os.ReadFile(filepath.Join(pod.Credentials, "token"))
	if err != nil {
		return nil, "", err
	}
	authority, err := os.ReadFile(filepath.Join(pod.Credentials, "ca.crt"))
	if err != nil {
		return nil, "", err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, "", errors.New("ca.crt holds no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	return &http.Client{Transport: transport}, strings.TrimSpace(string(token)), nil
}
