package config_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
)

func TestUnbuilt_WhatPromisesProtectionOrDurabilityIsRefused(t *testing.T) {
	for _, c := range []struct{ key, value, shown string }{
		{"history", "[{rooms: [a]}]", ""},
	} {
		want := "line 1: " + c.key + ": " + c.shown + "not in this version"
		got := faultsOf(t, config.Source{File: []byte(fileWith(c.key, c.value))})
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%s: %s: got %q", c.key, c.value, got)
		}
	}
}

func TestUnbuilt_WhatOnlyHasNoEffectIsOneWarning(t *testing.T) {
	for _, c := range []struct{ key, value, shown string }{
		{"presence", "[{rooms: [a], user: '${sid}'}]", ""},
	} {
		want := "line 1: " + c.key + ": " + c.shown + "not in this version; it has no effect"
		_, warnings, err := config.Load(config.Source{File: []byte(fileWith(c.key, c.value))})
		if err != nil || len(warnings) != 1 || warnings[0].String() != want {
			t.Errorf("%s: %s: warnings %v, error %v", c.key, c.value, warnings, err)
		}
	}
}

func TestUnbuilt_ValuesThatAskForNothingPass(t *testing.T) {
	for _, c := range []struct{ key, value string }{
		{"socketio.parser", "msgpack"},
		{"engine.compression.websocket", "true"},
		{"adapter.kind", "memory"},
		{"adapter.sharded.mode", "static"},
		{"adapter.classic_emitters", "false"},
		{"limits.outbox_total", "30%"},
		{"limits.connections_per_ip", "1"},
		{"limits.outbox_total", "1MiB"},
	} {
		_, warnings, err := config.Load(config.Source{File: []byte(fileWith(c.key, c.value))})
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %s: warnings %v, error %v", c.key, c.value, warnings, err)
		}
	}
}

func TestUnbuilt_DefaultsPassFromTheEnvironmentToo(t *testing.T) {
	defaults := config.Default()
	environ := []string{
		"CARILLON_LIMITS_UNKNOWN_SIDS=100", "CARILLON_LIMITS_OUTBOX_TOTAL=25%", "CARILLON_LIMITS_NAMESPACES=10000",
		"CARILLON_PEER_ADDRESS=:9091", "CARILLON_AUTH_TOKEN=auth.token,header.authorization,query.token",
	}
	cfg, warnings, err := config.Load(config.Source{Environ: environ})
	if err != nil || len(warnings) > 0 || !reflect.DeepEqual(cfg.Limits, defaults.Limits) {
		t.Errorf("warnings %v, error %v", warnings, err)
	}
}

func TestUnbuilt_TheBaseIsNotTheUsersWord(t *testing.T) {
	base := config.Default()
	base.Auth.Expiry = "keep"
	base.Limits.Events.Rate = 10
	if _, warnings, err := config.Load(config.Source{Base: &base}); err != nil || len(warnings) > 0 {
		t.Errorf("warnings %v, error %v", warnings, err)
	}
}

func TestUnbuilt_EveryKindOfRedisIsThere(t *testing.T) {
	for _, redis := range []string{
		"{url: 'rediss://h', tls: {ca: ca.pem, cert: cert.pem, key: key.pem, server_name: h}}",
		"{sentinel: {addresses: ['h:1'], master: m, username: u, password: p}, tls: {ca: ca.pem}}",
		"{cluster: {addresses: ['h:1', 'h:2']}, username: u, password: p}",
	} {
		_, warnings, err := config.Load(config.Source{File: []byte("redis: " + redis)})
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: warnings %v, error %v", redis, warnings, err)
		}
	}
}
