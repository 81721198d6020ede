//go:build linux

package load

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
)

// deflateOffer asks for RFC 7692 without context takeover, so that a worker needs one inflater instead of one for each connection.
const deflateOffer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"

// deflateTail is what RFC 7692, 7.2.1 leaves out at the end of each message, and an empty last block.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// inflater inflates one message after the other. The zero value is ready.
type inflater struct {
	in  bytes.Reader
	end bytes.Reader
	out bytes.Buffer
	by  io.ReadCloser
}

// inflate returns what a message holds, until the next call.
func (w *worker) inflate(payload []byte) ([]byte, error) {
	f := &w.inflater
	f.in.Reset(payload)
	f.end.Reset([]byte(deflateTail))
	source := io.MultiReader(&f.in, &f.end)
	if f.by == nil {
		f.by = flate.NewReader(source)
	} else if err := f.by.(flate.Resetter).Reset(source, nil); err != nil {
		return nil, fmt.Errorf("inflate: %w", err)
	}
	f.out.Reset()
	n, err := f.out.ReadFrom(io.LimitReader(f.by, maxFrame+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("inflate: %w", err)
	case n > maxFrame:
		return nil, errors.New("inflate: message too long")
	}
	return f.out.Bytes(), nil
}
