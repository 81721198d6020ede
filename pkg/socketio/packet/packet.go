package packet

// Type is the type of a Socket.IO packet. On the wire the binary forms have numbers of their own (5 and 6);
// here an event or ack with attachments is still an Event or an Ack.
type Type byte

// The packet types of Socket.IO protocol v5.
const (
	Connect Type = iota
	Disconnect
	Event
	Ack
	ConnectError
)

// Packet is one Socket.IO packet, whatever parser it came through. JSON is the canonical form of the data:
// the msgpack parser transcodes to it.
type Packet struct {
	Type      Type
	Namespace string // "/" when the wire names none; the msgpack parser brings any string
	ID        uint64 // the ack id; only when HasID
	HasID     bool
	// Data is compact or client-spelled JSON text, already valid: an object or nothing for Connect, an array for Event
	// and Ack, an object or string for ConnectError (to 2.x clients any value), nothing for Disconnect. An Event or Ack
	// may come without it: then the list is empty. Binary values stand in it as {"_placeholder":true,"num":k}, the k-th
	// of Attachments. Nobody changes Data or Attachments after construction.
	Data        []byte
	Attachments [][]byte
}

// Args returns the list that an event or ack carries. It shares the packet's memory.
func (p *Packet) Args() Args {
	return Args{JSON: p.Data, Attachments: p.Attachments}
}

// Args is a list of arguments as it travels: one JSON array and the attachments its placeholders number.
// For an event the first element is the event's name. The zero value is an empty list.
// Like a packet's, its memory is shared and never changed after construction.
type Args struct {
	JSON        []byte
	Attachments [][]byte
}
