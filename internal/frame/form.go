package frame

import (
	"sync"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// The first byte of an unfragmented WebSocket frame.
const (
	wsText   = wsframe.Final | wsframe.Text
	wsBinary = wsframe.Final | wsframe.Binary
)

// encoded is one packet inside one WebSocket frame.
type encoded struct {
	frame  []byte
	header int
}

func (e *encoded) packet() []byte { return e.frame[e.header:] }

// forms are the encodings of a message that not every recipient needs.
type forms struct {
	made        [2 * formDeflated]atomic.Pointer[encoded]
	compressing sync.Mutex // held while a deflated one is made: once is enough
}

const (
	formWire     = iota // Frame.wire, never among forms
	formTyped           // revision 3: a binary frame whose first byte is the packet type
	formBase64          // revision 4 without binary: b<base64>
	formBase64R3        // revision 3 without binary: b4<base64>
	formDeflated        // added to one of the others: the same compressed
)

// form returns one of the encodings. It is apart from other because of its stack: a flusher that only calls form stays within
// the 2 KiB that a goroutine begins with, and having them doubled costs as much as all else that a flusher does.
func (f *Frame) form(which int) *encoded {
	if which == formWire {
		return &f.wire
	}
	return f.other(which)
}

// other returns an encoding that is made when it is asked for first. Two recipients may make a cheap one at the same time;
// either result serves.
func (f *Frame) other(which int) *encoded {
	all := f.forms.Load()
	if all == nil {
		f.forms.CompareAndSwap(nil, new(forms))
		all = f.forms.Load()
	}
	if e := all.made[which].Load(); e != nil {
		return e
	}
	if which >= formDeflated {
		all.compressing.Lock()
		defer all.compressing.Unlock()
		if e := all.made[which].Load(); e != nil {
			return e
		}
		e := deflated(f.form(which - formDeflated))
		all.made[which].Store(e)
		return e
	}
	var e encoded
	data := f.wire.packet()
	switch which {
	case formTyped:
		e = encode(wsBinary, "", eioproto.Revision(3).AppendBinary(nil, data))
	case formBase64:
		e = encode(wsText, "", eioproto.Revision(4).AppendBase64(nil, data))
	case formBase64R3:
		e = encode(wsText, "", eioproto.Revision(3).AppendBase64(nil, data))
	}
	all.made[which].Store(&e)
	return &e
}

// deflated returns the same frame compressed, or itself where that saves nothing.
func deflated(e *encoded) *encoded {
	payload := wsframe.Deflate(e.packet())
	if payload == nil {
		return e
	}
	compressed := encode(e.frame[0]|wsframe.Compressed, "", payload)
	return &compressed
}

// encode builds a WebSocket frame with prefix and data as its payload.
func encode(first byte, prefix string, data []byte) encoded {
	n := len(prefix) + len(data)
	header := wsframe.HeaderSize(n)
	return encoded{frame: wsframe.Append(make([]byte, 0, header+n), first, prefix, data), header: header}
}
