package relay

import "encoding/binary"

// frames finds the boundaries of a server's WebSocket frames (RFC 6455, section 5.2), whose headers are two, four or ten
// bytes without a mask. The zero value is between two frames.
type frames struct {
	header  [10]byte // of the frame that has begun, as far as it came
	headed  int      // bytes in header
	payload uint64   // of the present frame, still to come
}

// between reports whether all frames that began have ended.
func (f *frames) between() bool { return f.headed == 0 && f.payload == 0 }

// feed moves past data.
func (f *frames) feed(data []byte) {
	for len(data) > 0 {
		data = data[f.step(data):]
	}
}

// rest returns how many bytes of data belong to the frame that has begun; 0 between two frames.
func (f *frames) rest(data []byte) int {
	ahead, length := *f, 0
	for length < len(data) && !ahead.between() {
		length += ahead.step(data[length:])
	}
	return length
}

// step moves past the next part of a frame and returns its length, which is over 0.
func (f *frames) step(data []byte) int {
	if f.payload > 0 {
		n := min(f.payload, uint64(len(data)))
		f.payload -= n
		return int(n)
	}
	f.header[f.headed] = data[0]
	f.headed++
	size := 2
	if f.headed >= 2 {
		switch f.header[1] & 0x7f {
		case 126:
			size = 4
		case 127:
			size = 10
		}
	}
	if f.headed < size {
		return 1
	}
	switch size {
	case 2:
		f.payload = uint64(f.header[1] & 0x7f)
	case 4:
		f.payload = uint64(binary.BigEndian.Uint16(f.header[2:]))
	default:
		f.payload = binary.BigEndian.Uint64(f.header[2:])
	}
	f.headed = 0
	return 1
}
