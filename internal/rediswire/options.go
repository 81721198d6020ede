package rediswire

import (
	"math"
	"slices"
	"time"

	"github.com/carillon-io/carillon/internal/msgjson"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

func appendRooms(dst []byte, target rooms.Target) []byte {
	return appendNames(appendNames(dst, "rooms", target.Rooms), "except", target.Except)
}

func appendNames(dst []byte, key string, names []string) []byte {
	dst = msgjson.AppendArray(msgjson.AppendString(dst, key), len(names))
	for _, name := range names {
		dst = msgjson.AppendString(dst, name)
	}
	return dst
}

func appendFlags(dst []byte, b *adapter.Broadcast) []byte {
	n := 0
	if b.Volatile {
		n++
	}
	if b.NoCompress {
		n++
	}
	dst = msgjson.AppendMap(msgjson.AppendString(dst, "flags"), n)
	if b.Volatile {
		dst = msgjson.AppendBool(msgjson.AppendString(dst, "volatile"), true)
	}
	if b.NoCompress {
		dst = msgjson.AppendBool(msgjson.AppendString(dst, "compress"), false)
	}
	return dst
}

// options is what a message says about its recipients and their treatment.
type options struct {
	target     rooms.Target
	volatile   bool
	noCompress bool
	timeout    time.Duration
}

// targetOnly reduces the target to the channel's own room, for old emitters publish once per room. The rooms that are
// excluded can only take away members whom the channels of those rooms reach, since the same message was published there.
func (o *options) targetOnly(channelRoom string) {
	if channelRoom == "" || len(o.target.Rooms) < 2 {
		return
	}
	if at := slices.Index(o.target.Rooms, channelRoom); at >= 0 {
		o.target.Except = append(o.target.Except, o.target.Rooms[:at]...)
		o.target.Rooms = o.target.Rooms[at : at+1]
	}
}

// How options nearly always begin, and what follows the rooms in them.
const (
	optionsStart = "\x83\xa5rooms"
	noExceptions = "\xa6except\x90"
)

// readOptions reads what emitters write for options: a map with any of its members missing, or nothing at all. PHP writes
// an empty map as an array. A room named like known shares its memory.
func readOptions(r *msgjson.Reader, known string) (options, error) {
	var o options
	var entries int
	var err error
	switch {
	case r.Literal(optionsStart):
		entries = 2
		o.target.Rooms, err = readTarget(r, known)
	case r.Kind() != msgjson.Map:
		return o, skipEmpty(r)
	default:
		entries, err = r.Map()
	}
	if err != nil {
		return o, err
	}
	for ; entries > 0; entries-- {
		if r.Literal(noExceptions) {
			o.target.Except = nil
			continue
		}
		key, err := r.Bytes()
		if err != nil {
			return o, err
		}
		switch string(key) {
		case "rooms":
			o.target.Rooms, err = readTarget(r, known)
		case "except":
			o.target.Except, err = readTarget(r, known)
		case "flags":
			err = o.readFlags(r)
		default:
			err = r.Skip()
		}
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

func (o *options) readFlags(r *msgjson.Reader) error {
	if r.Kind() != msgjson.Map {
		return r.Skip() // empty, or a list of nothing we know
	}
	entries, err := r.Map()
	if err != nil {
		return err
	}
	for range entries {
		key, err := r.Bytes()
		if err != nil {
			return err
		}
		switch string(key) {
		case "volatile":
			o.volatile, err = readTruth(r)
		case "compress":
			// Only false means no; a value left out, as null, means yes.
			off := r.Kind() == msgjson.Bool
			var compress bool
			compress, err = readTruth(r)
			o.noCompress = off && !compress
		case "timeout":
			o.timeout, err = readMilliseconds(r)
		default:
			err = r.Skip()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readTarget reads the rooms that a message is for, or leaves out. Nothing means all sockets, or no exception: a member
// that is missing or null, an empty text, an empty list. Any other value that is not a list of names is refused, for a
// publisher's mistake must not address everyone.
func readTarget(r *msgjson.Reader, known string) ([]string, error) {
	switch r.Kind() {
	case msgjson.Array:
		n, err := r.Array()
		if err != nil {
			return nil, err
		}
		return readList(r, n, false, known)
	case msgjson.Map: // a PHP array whose indices have gaps
		n, err := r.Map()
		if err == nil && n == 0 { // a JavaScript Set, which serializers write as an empty object
			err = errShape
		}
		if err != nil {
			return nil, err
		}
		return readList(r, n, true, known)
	}
	return nil, skipEmpty(r)
}

// readNames reads names of rooms to join or leave: as readTarget, or one name alone, as Node does.
func readNames(r *msgjson.Reader) ([]string, error) {
	switch r.Kind() {
	case msgjson.String, msgjson.Binary, msgjson.Uint, msgjson.Int, msgjson.Float:
		name, err := readName(r, "")
		if err != nil || name == "" {
			return nil, err
		}
		return []string{name}, nil
	}
	return readTarget(r, "")
}

// readList reads n names, each behind a key if keys. Numbers become text.
func readList(r *msgjson.Reader, n int, keys bool, known string) ([]string, error) {
	if n == 0 {
		return nil, nil
	}
	names := make([]string, 0, n)
	for range n {
		if keys {
			if err := r.Skip(); err != nil {
				return nil, err
			}
		}
		switch r.Kind() {
		case msgjson.Nil, msgjson.Undefined, msgjson.Bool:
			return nil, errShape
		}
		name, err := readName(r, known)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func readName(r *msgjson.Reader, known string) (string, error) {
	var space [64]byte
	name, err := r.AppendText(space[:0])
	switch {
	case err != nil:
		return "", err
	case string(name) == known:
		return known, nil
	}
	return string(name), nil
}

// skipEmpty passes over what stands for nothing: nil, undefined, "" and an empty array.
func skipEmpty(r *msgjson.Reader) error {
	switch r.Kind() {
	case msgjson.Array:
		if n, err := r.Array(); err != nil || n > 0 {
			return errShape
		}
		return nil
	case msgjson.Nil, msgjson.Undefined, msgjson.String:
		if truth, err := readTruth(r); err != nil || truth {
			return errShape
		}
		return nil
	}
	return errShape
}

// readTruth reads any value as JavaScript takes it for a condition.
func readTruth(r *msgjson.Reader) (bool, error) {
	switch r.Kind() {
	case msgjson.Bool, msgjson.Uint, msgjson.Int, msgjson.Float:
		number, err := r.Number()
		return number != 0 && !math.IsNaN(number), err
	case msgjson.String:
		text, err := r.Bytes()
		return len(text) > 0, err
	case msgjson.Nil, msgjson.Undefined:
		return false, r.Skip()
	}
	return true, r.Skip()
}

// readMilliseconds reads a duration; one that is no positive number is none.
func readMilliseconds(r *msgjson.Reader) (time.Duration, error) {
	switch r.Kind() {
	case msgjson.Uint, msgjson.Float:
		number, err := r.Number()
		if !(number > 0) {
			return 0, err
		}
		return time.Duration(min(number*float64(time.Millisecond), float64(math.MaxInt64/2))), err
	}
	return 0, r.Skip()
}
