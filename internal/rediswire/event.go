package rediswire

import (
	"errors"
	"fmt"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// The types of the packets inside. Old emitters number an event with attachments apart, as on the wire to clients.
const (
	packetEvent       = 2
	packetBinaryEvent = 5
)

// packetStart is how nearly every packet begins: a map of three with its type and the key of its data.
const packetStart = "\x83\xa4type\x02\xa4data"

// defaultNamespace is meant by a packet of the classic adapter that names none.
const defaultNamespace = "/"

func appendPacket(dst []byte, b *adapter.Broadcast, depth int) ([]byte, error) {
	out := msgjson.AppendMap(dst, 3)
	out = msgjson.AppendUint(msgjson.AppendString(out, "type"), packetEvent)
	out = msgjson.AppendString(out, "data")
	out, err := appendEvent(out, b.Args, depth)
	if err != nil {
		return dst, err
	}
	return msgjson.AppendString(msgjson.AppendString(out, "nsp"), b.Namespace), nil
}

// appendEvent appends the list of an event. Node's readers take anything and may crash on what is no list.
func appendEvent(dst []byte, args packet.Args, depth int) ([]byte, error) {
	out, err := msgjson.AppendMsgpack(dst, args.JSON, args.Attachments, depth)
	if err != nil {
		return dst, err
	}
	r := msgjson.NewReader(out[len(dst):], depth)
	if err := checkEvent(r); err != nil {
		return dst, err
	}
	return out, nil
}

// checkEvent refuses what official clients would close the connection for. It looks ahead: r stays where it is.
func checkEvent(r msgjson.Reader) error {
	kind, err := nameKind(&r)
	if err != nil || kind != msgjson.String {
		return err
	}
	if name, err := r.Bytes(); err != nil || packet.ReservedEvent(string(name)) {
		return errReserved
	}
	return nil
}

// checkName refuses what is no list that begins with a name. A number is a name too. It looks ahead: r stays where it
// is.
func checkName(r msgjson.Reader) error {
	_, err := nameKind(&r)
	return err
}

// nameKind is what the name of an event is, which is next after that.
func nameKind(r *msgjson.Reader) (msgjson.Kind, error) {
	if n, err := r.Array(); err != nil || n == 0 {
		return msgjson.None, errEvent
	}
	switch kind := r.Kind(); kind {
	case msgjson.String, msgjson.Uint, msgjson.Int, msgjson.Float:
		return kind, nil
	}
	return msgjson.None, errEvent
}

// readPacket reads the event for nsp in a packet; one that names no namespace is for assumed. size is an estimate of
// its length.
func readPacket(r *msgjson.Reader, nsp, assumed string, size int) (args packet.Args, err error) {
	entries, kind, namespace := 1, float64(packetEvent), assumed
	if r.Literal(packetStart) {
		args, err = readEvent(r, args, size)
	} else {
		kind = 0
		entries, err = r.Map()
	}
	if err != nil {
		return packet.Args{}, err
	}
	for range entries {
		key, err := r.Bytes()
		if err != nil {
			return packet.Args{}, err
		}
		switch string(key) {
		case "type":
			kind, err = r.Number()
		case "data":
			args, err = readEvent(r, args, size)
		case "nsp":
			namespace, err = readNamespace(r, nsp)
		default:
			err = r.Skip()
		}
		if err != nil {
			return packet.Args{}, err
		}
	}
	switch {
	case namespace != nsp:
		return packet.Args{}, ErrNamespace
	case kind != packetEvent && kind != packetBinaryEvent:
		return packet.Args{}, fmt.Errorf("packet of type %v", kind)
	case len(args.JSON) == 0:
		return packet.Args{}, errEvent
	}
	return args, nil
}

// readEvent reads the list of an event into the memory of before, which an earlier member of the same name has filled:
// of repeated members the last counts, and memory for each would make decoding quadratic.
func readEvent(r *msgjson.Reader, before packet.Args, size int) (packet.Args, error) {
	if err := checkEvent(*r); err != nil {
		return packet.Args{}, err
	}
	if before.JSON == nil {
		before.JSON = make([]byte, 0, size)
	}
	return readArgs(r, before.JSON[:0], before.Attachments[:0])
}

// readArgs transcodes a value behind text. What a client wrote in a text field must not make other nodes refuse the
// message, so plain data that looks like an attachment's placeholder is mended.
func readArgs(r *msgjson.Reader, text []byte, attachments [][]byte) (packet.Args, error) {
	r.MendPlaceholders()
	text, attachments, err := r.AppendJSON(text, attachments)
	return packet.Args{JSON: text, Attachments: attachments}, err
}

// readNamespace reads a namespace, which nearly always is the expected one and then needs no memory.
func readNamespace(r *msgjson.Reader, expected string) (string, error) {
	if r.Kind() == msgjson.Undefined {
		return defaultNamespace, r.Skip()
	}
	name, err := r.Bytes()
	switch {
	case err != nil:
		return "", ErrNamespace
	case string(name) == expected:
		return expected, nil
	}
	return string(name), nil
}

// wrap says what was attempted, except for the errors that are for callers to compare.
func wrap(attempt string, err error) error {
	if errors.Is(err, ErrNamespace) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrType) {
		return err
	}
	return fmt.Errorf("rediswire: %s: %w", attempt, err)
}
