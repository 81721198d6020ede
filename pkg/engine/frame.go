package engine

import (
	"time"

	"github.com/carillon-io/carillon/internal/frame"
)

// Frame is one outbound message, encoded once per wire form, immutable, shared by all its recipients. Its one method,
// Uncompressed, keeps the frame from being compressed and returns it; it is called before the frame is sent first.
type Frame = frame.Frame

// NewFrame makes the frame of one message. data is copied. received is when the publish it stems from came in, for
// carillon_delivery_seconds; zero: not measured.
func NewFrame(data []byte, binary bool, received time.Time) *Frame {
	return frame.NewMessage(data, binary, received)
}

// NewPlainFrame is NewFrame for plain sessions, where data leaves as it is: as a text or binary frame of a WebSocket, or as
// a part of an event stream. It is not for sessions that speak Engine.IO, nor NewFrame for these.
func NewPlainFrame(data []byte, binary bool, received time.Time) *Frame {
	return frame.NewPlain(data, binary, received)
}
