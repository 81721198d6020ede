package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/carillon-io/carillon/internal/api"
	"github.com/carillon-io/carillon/internal/config"
)

// httpTime is how long the API may take: it waits for Redis.
const httpTime = time.Minute

// maxProblem bounds what is read of an answer.
const maxProblem = 64 << 10

// httpEvent is the body of POST /v1/emit.
type httpEvent struct {
	Namespace string   `json:"namespace"`
	Rooms     []string `json:"rooms,omitempty"`
	All       bool     `json:"all,omitempty"`
	Except    []string `json:"except,omitempty"`
	Event     string   `json:"event"`
	Args      []any    `json:"args"`
	Volatile  bool     `json:"volatile,omitempty"`
}

// send publishes through the HTTP API at a URL.
func (e *httpEvent) send(ctx context.Context, base, key, file string) error {
	target, err := url.Parse(base)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return errors.New("--http is not a URL such as http://127.0.0.1:9092")
	}
	if key, err = apiKeyFor(key, file); err != nil {
		return err
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, httpTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target.JoinPath("v1", "emit").String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/json")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		return failed(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxProblem))
	if err != nil {
		return failed(err)
	}
	if answer.StatusCode == http.StatusAccepted {
		return nil
	}
	var problem struct{ Code, Detail string }
	if json.Unmarshal(text, &problem) != nil || problem.Code == "" {
		return failed(fmt.Errorf("%s is no HTTP API of a gateway: it answered %s", target.Redacted(), answer.Status))
	}
	err = fmt.Errorf("refused as %s: %s", problem.Code, problem.Detail)
	if answer.StatusCode == http.StatusBadRequest {
		return err
	}
	return failed(err)
}

// apiKeyFor is the key that was given, else the first one of a configuration or of the environment.
func apiKeyFor(key, file string) (string, error) {
	if key != "" {
		first, err := api.FirstKey([]config.Secret{config.Secret(key)})
		if err != nil {
			return "", fmt.Errorf("--api-key: %w", err)
		}
		return first, nil
	}
	cfg, _, err := loadConfig(file)
	if err != nil {
		return "", err
	}
	first, err := api.FirstKey(cfg.API.Keys)
	if err != nil {
		return "", fmt.Errorf("which key? Give --api-key, or --config FILE with api.keys, or set CARILLON_API_KEYS: %w", err)
	}
	return first, nil
}
