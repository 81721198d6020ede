//go:build linux

package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	maxHead  = 16 << 10
	maxFrame = 64 << 20
)

// webSocketInput decodes whole frames and returns what is left over.
func (w *worker) webSocketInput(s *socket, data []byte) (rest []byte, err error) {
	if s.state != socketOpen {
		i := bytes.Index(data, []byte("\r\n\r\n"))
		if i < 0 {
			if len(data) > maxHead {
				return nil, errors.New("upgrade: the answer's head is too long")
			}
			return data, nil
		}
		if !bytes.HasPrefix(data, []byte("HTTP/1.1 101")) {
			return nil, fmt.Errorf("upgrade refused: %.80s", data[:bytes.IndexByte(data, '\r')])
		}
		s.state = socketOpen
		data = data[i+4:]
	}
	for len(data) >= 2 {
		if answer := "HTTP/1.1 "; bytes.HasPrefix(data, []byte(answer[:min(len(answer), len(data))])) {
			// Node refuses a protocol revision on the connection that it has upgraded; no frame begins like that.
			line, _, _ := bytes.Cut(data, []byte("\r"))
			return nil, fmt.Errorf("upgrade refused: %.80s: does the server speak this revision of Engine.IO?", line)
		}
		first := data[0]
		if data[1]&0x80 != 0 {
			return nil, errors.New("masked frame from the server")
		}
		payload, next, err := frame(data)
		if err != nil {
			return nil, err
		}
		if next == nil {
			break
		}
		data = next
		switch {
		case first == 0x81: // a whole text
			err = w.packet(s.c, payload)
		case first == 0xc1 && w.g.o.Deflate: // a whole text, deflated
			if payload, err = w.inflate(payload); err == nil {
				w.deflated++
				err = w.packet(s.c, payload)
			}
		default:
			err = w.otherFrame(s, first, payload)
		}
		if err != nil || s.state == socketClosed {
			return nil, err
		}
	}
	return data, nil
}

// frame returns the payload of the unmasked frame that data begins with and what follows it: nil when it is incomplete.
func frame(data []byte) (payload, next []byte, err error) {
	n, head := uint64(data[1]&0x7f), 2
	switch n {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	if len(data) < head {
		return nil, nil, nil
	}
	switch n {
	case 126:
		n = uint64(binary.BigEndian.Uint16(data[2:]))
	case 127:
		n = binary.BigEndian.Uint64(data[2:])
	}
	if n > maxFrame {
		return nil, nil, errors.New("frame too long")
	}
	if end := head + int(n); len(data) >= end {
		return data[head:end], data[end:len(data):len(data)], nil
	}
	return nil, nil, nil
}

// otherFrame handles what is not a whole text.
func (w *worker) otherFrame(s *socket, first byte, payload []byte) error {
	if first&0x70 != 0 {
		return errors.New("reserved bits set without an extension")
	}
	switch first & 15 {
	case 0:
		if s.fragments == nil {
			return errors.New("continuation without a start")
		}
		s.fragments = append(s.fragments, payload...)
		if len(s.fragments) > maxFrame {
			return errors.New("message too long")
		}
		if first&0x80 != 0 {
			message := s.fragments
			s.fragments = nil
			return w.packet(s.c, message)
		}
	case 1:
		s.fragments = append([]byte{}, payload...)
	case 2: // an attachment: no scenario uses one
	case 8:
		if len(payload) >= 2 {
			return fmt.Errorf("close frame %d", binary.BigEndian.Uint16(payload))
		}
		return errors.New("close frame")
	case 9:
		s.out = append(s.out, 0x8a, 0x80|byte(len(payload)), 0, 0, 0, 0)
		s.out = append(s.out, payload...)
		w.mark(s)
	case 10:
	default:
		return fmt.Errorf("opcode %d", first&15)
	}
	return nil
}
