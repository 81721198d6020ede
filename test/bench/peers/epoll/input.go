//go:build linux

package main

import (
	"bytes"
	"encoding/binary"

	"github.com/carillon-io/carillon/test/bench/peers/wire"
)

// consume takes whole requests and frames off data and returns what is left over.
func (w *worker) consume(c *client, data []byte) (rest []byte) {
	if !c.open {
		_, after, found := bytes.Cut(data, []byte("\r\n\r\n"))
		if !found {
			return data
		}
		c.open = true
		w.queue(c, wire.Handshake())
		w.send(c, []byte(wire.Open))
		data = after
	}
	for len(data) >= 6 {
		n, head := int(data[1]&0x7f), 2
		if n == 126 {
			n, head = int(binary.BigEndian.Uint16(data[2:])), 4
		}
		if len(data) < head+4+n {
			break
		}
		mask, payload := data[head:head+4], data[head+4:head+4+n]
		for i := range payload {
			payload[i] ^= mask[i%4]
		}
		if data[0]&0x0f == 8 || !w.packet(c, wire.Parse(payload)) {
			w.flush(c)
			if w.clients[c.fd] == c {
				w.close(c)
			}
			return nil
		}
		data = data[head+4+n:]
	}
	return data
}

// packet reports whether the client stays.
func (w *worker) packet(c *client, p wire.Packet) bool {
	switch p.Kind {
	case wire.Connect:
		w.send(c, []byte(wire.Connected))
	case wire.Disconnect:
		return false
	case wire.Join:
		w.join(c, string(p.Room))
		w.send(c, p.Answer())
	case wire.Echo:
		w.send(c, p.Answer())
	case wire.Publish, wire.PublishAll:
		w.publish(message{room: string(p.Room), frame: wire.AppendFrame(nil, p.Message())})
	}
	return true
}
