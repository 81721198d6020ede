package backend_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/backend"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func TestMux_WhatAHandlerReturnsDecidesAboutTheEntry(t *testing.T) {
	failed := errors.New("no stock")
	ok := backend.Done().Answer(packet.Args{JSON: []byte(`[{"ok":true}]`)})
	for name, tt := range map[string]struct {
		returned         error
		waiting, unasked backend.Verdict // of an entry whose client waits for an answer, and of one without
	}{
		"nothing":        {nil, ok, ok},
		"another answer": {backend.ErrLater, backend.Done(), backend.Done()},
		"a refusal": {
			fmt.Errorf("wrapped: %w", backend.Refuse("sold_out", "none left")),
			backend.Done().Refuse("sold_out", "none left"), backend.Done().Refuse("sold_out", "none left"),
		},
		"try again":         {backend.TryAgain(failed), backend.Retry(failed), backend.Retry(failed)},
		"try again later":   {backend.TryAgainAfter(time.Minute, failed), backend.RetryAfter(time.Minute, failed), backend.RetryAfter(time.Minute, failed)},
		"try again at once": {backend.TryAgainAfter(-time.Second, failed), backend.RetryAfter(0, failed), backend.RetryAfter(0, failed)},
		"bury": {
			backend.Bury(failed),
			backend.Dead(failed).Refuse(backend.CodeFailed, "no stock"), backend.Dead(failed).Refuse(backend.CodeFailed, "no stock"),
		},
		"any other error": {failed, backend.Done().Refuse(backend.CodeFailed, "no stock"), backend.Retry(failed)},
	} {
		t.Run(name, func(t *testing.T) {
			mux := backend.NewMux()
			backend.On(mux, "event", func(context.Context, *backend.Entry, any) error { return tt.returned })
			for ack, want := range map[string]backend.Verdict{"token": tt.waiting, "": tt.unasked} {
				e := &backend.Entry{Kind: backend.KindEvent, Event: "event", Args: packet.Args{JSON: []byte(`[]`)}, Ack: ack}
				if got := mux.Handle(t.Context(), e); !reflect.DeepEqual(got, want) {
					t.Errorf("acknowledgement %q: %+v, want %+v", ack, got, want)
				}
			}
		})
	}
}
