//go:build linux

package load

import "fmt"

// A published payload begins with 8 hexadecimal digits of its stream, 8 of its number in the stream, from 1, and 16 of the
// moment at which it was due to be sent.
const payloadHeader = 32

// stream is the messages of one publisher to one room.
type stream struct {
	id      int
	c       *client
	room    int
	members int64
	number  uint32 // of the last message
	packet  []byte // with the payload at offset
	offset  int
}

func roomName(i int) string { return fmt.Sprintf("room-%d", i) }

func newStream(id int, c *client, event string, room int, members int64, size int) *stream {
	head := fmt.Sprintf(`42[%q,`, event)
	if event == "publish" {
		head += fmt.Sprintf(`%q,`, roomName(room))
	}
	s := &stream{id: id, c: c, room: room, members: members, packet: []byte(head + `"`)}
	s.offset = len(s.packet)
	for range size {
		s.packet = append(s.packet, 'x')
	}
	s.packet = append(s.packet, `"]`...)
	putHex(s.packet[s.offset:s.offset+8], uint64(id))
	return s
}

// publish sends the next message, which was due at a time.
func (s *stream) publish(due int64) {
	s.number++
	putHex(s.packet[s.offset+8:s.offset+16], uint64(s.number))
	putHex(s.packet[s.offset+16:s.offset+32], uint64(due))
	s.c.w.send(s.c, s.packet)
}

// published is what an event says about itself.
type published struct {
	stream int
	number uint32
	due    int64
}

// parsePublished reads an event msg.
func parsePublished(data []byte) (p published, ok bool) {
	const head = `["msg","`
	if len(data) < len(head)+payloadHeader || string(data[:len(head)]) != head {
		return published{}, false
	}
	data = data[len(head):]
	stream, ok1 := getHex(data[:8])
	number, ok2 := getHex(data[8:16])
	due, ok3 := getHex(data[16:32])
	return published{int(stream), uint32(number), int64(due)}, ok1 && ok2 && ok3
}

const hexDigits = "0123456789abcdef"

// unhex is the value of a hexadecimal digit, 0xff for any other byte.
var unhex = func() (table [256]byte) {
	for i := range table {
		table[i] = 0xff
	}
	for i, c := range []byte(hexDigits) {
		table[c] = byte(i)
	}
	return table
}()

func putHex(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = hexDigits[v&15]
		v >>= 4
	}
}

func getHex(b []byte) (v uint64, ok bool) {
	var bad byte
	for _, c := range b {
		d := unhex[c]
		bad |= d
		v = v<<4 | uint64(d&15)
	}
	return v, bad < 16
}
