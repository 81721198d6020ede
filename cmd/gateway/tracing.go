package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/carillon-io/carillon/internal/gateway"
)

// tracing is what the environment asks for in the variables that OpenTelemetry has for it; nil: no traces. The library
// reads most of them itself. Those looked at here are the ones that turn traces off, and those of which the library
// would print a mistake and go on with something else.
func tracing(ctx context.Context) (*gateway.Tracing, error) {
	name, endpoint := variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	if endpoint == "" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	switch to := os.Getenv("OTEL_TRACES_EXPORTER"); to {
	case "", "otlp":
	case "none":
		return nil, nil
	default:
		return nil, fmt.Errorf(`OTEL_TRACES_EXPORTER: %q: only "otlp" and "none" are known`, to)
	}
	if u, err := url.Parse(endpoint); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s: must be an http or https URL, such as http://collector:4318", name)
	}
	name, protocol := variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	if protocol != "" && protocol != "http/protobuf" && protocol != "http/json" {
		return nil, fmt.Errorf(`%s: %q: only "http/protobuf", mostly on port 4318, and "http/json" are known`, name, protocol)
	}
	ratio, err := sampled(os.Getenv("OTEL_TRACES_SAMPLER"), os.Getenv("OTEL_TRACES_SAMPLER_ARG"))
	if err != nil || ratio == 0 {
		return nil, err
	}
	process, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "carillon"), attribute.String("service.version", version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv()) // what comes later wins
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP: %w", err)
	}
	return &gateway.Tracing{Exporter: exporter, Sampler: sdktrace.TraceIDRatioBased(ratio), Resource: process}, nil
}

// variable is the first of the variables that is not empty.
func variable(names ...string) (name, value string) {
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// sampled is the part of all messages that is traced. Messages on Redis have no parent, so that the samplers that follow
// one do the same as the others.
func sampled(sampler, argument string) (ratio float64, err error) {
	switch sampler {
	case "", "always_on", "parentbased_always_on":
		return 1, nil
	case "always_off", "parentbased_always_off":
		return 0, nil
	case "traceidratio", "parentbased_traceidratio":
		if argument == "" {
			return 1, nil
		}
		ratio, err := strconv.ParseFloat(argument, 64)
		if err == nil && !(ratio >= 0 && ratio <= 1) {
			err = errors.New("not from 0 to 1")
		}
		if err != nil {
			return 0, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %w", err)
		}
		return ratio, nil
	}
	return 0, fmt.Errorf("OTEL_TRACES_SAMPLER: %q: only always_on, always_off and traceidratio are known", sampler)
}
