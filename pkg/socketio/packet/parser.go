package packet

// Parser is the form in which the packets of a connection travel, the same in both directions.
type Parser byte

const (
	// DefaultParser: a text message for each packet, followed by a binary one for each of its attachments.
	DefaultParser Parser = iota
	// MsgpackParser: one binary message for each packet.
	MsgpackParser
	// AutoParser: what the client's first message shows. A client speaks first, with a CONNECT, which is text to the
	// default parser and binary to the other. 2.x clients are connected to the main namespace unasked, before anything
	// shows: to them AutoParser is DefaultParser.
	AutoParser
)

// settle replaces AutoParser by what a message shows.
func (d *Decoder) settle(binary bool) {
	if d.Parser != AutoParser {
		return
	}
	d.Parser = DefaultParser
	if binary && !d.NamespaceQuery {
		d.Parser = MsgpackParser
	}
}
