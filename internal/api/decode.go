package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/carillon-io/carillon/internal/bytesjson"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Bounds of what a request may say.
const (
	maxName   = 256  // bytes of a room or a namespace
	maxEvents = 1000 // in one list
	maxPage   = 1000
	maxWait   = time.Minute // of emit-with-ack

	defaultPage = 100
	defaultWait = 5 * time.Second
)

// members are what an object may have, and what reads each.
type members map[string]func(jsontext.Value) error

// object reads an object, and refuses members it does not know, repeated ones, and null.
func object(text jsontext.Value, known members) error {
	d := jsontext.NewDecoder(bytes.NewBuffer(text))
	if kind := d.PeekKind(); kind != '{' {
		if kind == 0 {
			_, err := d.ReadToken()
			return syntax(err)
		}
		return errors.New("must be an object")
	}
	if _, err := d.ReadToken(); err != nil {
		return syntax(err)
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return syntax(err)
		}
		member := name.String()
		read := known[member]
		if read == nil {
			return fmt.Errorf("unknown member %.60q; known are %s", member, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		value, err := d.ReadValue()
		if err != nil {
			return syntax(err)
		}
		if value.Kind() == 'n' {
			return fmt.Errorf("%s: must not be null", member)
		}
		if err := read(value); err != nil {
			return fmt.Errorf("%s: %w", member, err)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return syntax(err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}

// syntax says what is wrong with a text that is not JSON.
func syntax(err error) error {
	var s *jsontext.SyntacticError
	if errors.As(err, &s) {
		return fmt.Errorf("not valid JSON: %w", s.Err)
	}
	return errors.New("not valid JSON: it ends too early")
}

// elements splits a list.
func elements(text jsontext.Value, most int) ([]jsontext.Value, error) {
	d := jsontext.NewDecoder(bytes.NewBuffer(text))
	if d.PeekKind() != '[' {
		return nil, errors.New("must be a list")
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, syntax(err)
	}
	var values []jsontext.Value
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil {
			return nil, syntax(err)
		}
		if len(values) == most {
			return nil, fmt.Errorf("must not have more than %d elements", most)
		}
		values = append(values, value.Clone())
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, syntax(err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the list")
	}
	return values, nil
}

func text(v jsontext.Value) (string, error) {
	if v.Kind() != '"' {
		return "", errors.New("must be a text")
	}
	s, err := jsontext.AppendUnquote(nil, v)
	return string(s), err
}

func flag(to *bool) func(jsontext.Value) error {
	return func(v jsontext.Value) error {
		if v.Kind() != 't' && v.Kind() != 'f' {
			return errors.New("must be true or false")
		}
		*to = v.Kind() == 't'
		return nil
	}
}

// whole reads a whole number of 1 or more.
func whole(v jsontext.Value, most int) (int, error) {
	n, err := strconv.Atoi(string(v))
	if v.Kind() != '0' || err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("must be a whole number from 1 to %d", most)
	}
	return n, nil
}

// names reads a list of rooms.
func names(to *[]string, least int) func(jsontext.Value) error {
	return func(v jsontext.Value) error {
		values, err := elements(v, len(v))
		if err != nil {
			return err
		}
		if len(values) < least {
			return errors.New("must not be empty")
		}
		*to = make([]string, len(values))
		for i, element := range values {
			name, err := text(element)
			if err == nil {
				err = checkRoom(name)
			}
			if err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
			(*to)[i] = name
		}
		return nil
	}
}

func checkRoom(name string) error {
	switch {
	case name == "":
		return errors.New("a room's name must not be empty")
	case len(name) > maxName:
		return fmt.Errorf("a room's name must not be longer than %d bytes", maxName)
	}
	return nil
}

func checkNamespace(name string) error {
	switch {
	case !strings.HasPrefix(name, "/"):
		return errors.New("must begin with a slash")
	case len(name) > maxName:
		return fmt.Errorf("must not be longer than %d bytes", maxName)
	case strings.ContainsAny(name, "#,"):
		return errors.New("must not contain # or a comma")
	}
	return nil
}

// target is which sockets a call is for.
type target struct {
	namespace string
	rooms     []string
	all       bool
	except    []string
}

// members reads the target; except is left out of calls that have none.
func (t *target) members(except bool) members {
	t.namespace = "/"
	known := members{
		"namespace": func(v jsontext.Value) (err error) {
			if t.namespace, err = text(v); err == nil {
				err = checkNamespace(t.namespace)
			}
			return err
		},
		"rooms": names(&t.rooms, 1),
		"all": func(v jsontext.Value) error {
			if v.Kind() != 't' {
				return errors.New("must be true")
			}
			t.all = true
			return nil
		},
	}
	if except {
		known["except"] = names(&t.except, 0)
	}
	return known
}

// check refuses a call that names neither rooms nor all, or both.
func (t *target) check() error {
	switch {
	case t.all && t.rooms != nil:
		return errors.New("rooms and all exclude each other")
	case !t.all && t.rooms == nil:
		return errors.New("which sockets? Give rooms, or all: true for everyone in the namespace")
	}
	return nil
}

// size is what the names of rooms take in a message.
func (t *target) size() (size int) {
	var quoted []byte
	for _, list := range [][]string{t.rooms, t.except} {
		for _, name := range list {
			quoted = packet.AppendString(quoted[:0], name)
			size += len(quoted) + 1
		}
	}
	return size
}

// emission is one event to be sent.
type emission struct {
	target

	event    packet.Args // its name first
	volatile bool
}

// limits are what an event may hold.
type limits struct {
	bytesjson.Limits

	bytes int // of what goes to the other nodes: an event, its attachments, the names of rooms
}

// errSize: the other nodes would drop it.
var errSize = errors.New("with the names of its rooms it is larger than nodes take from one another (adapter.max_message)")

// parseEmission reads an event and further members.
func parseEmission(body jsontext.Value, l limits, further members) (e emission, err error) {
	var event string
	args := packet.Args{JSON: []byte("[]")}
	known := e.members(true)
	known["event"] = func(v jsontext.Value) (err error) {
		if event, err = text(v); err == nil && event == "" {
			err = errors.New("must not be empty")
		}
		if packet.ReservedEvent(event) {
			err = fmt.Errorf("%q is reserved: clients and servers use it for themselves", event)
		}
		return err
	}
	known["args"] = func(v jsontext.Value) (err error) {
		args, err = bytesjson.Parse(v, l.Limits)
		return err
	}
	known["volatile"] = flag(&e.volatile)
	maps.Copy(known, further)
	if err := object(body, known); err != nil {
		return e, err
	}
	if event == "" {
		return e, errors.New("event: is missing")
	}
	if err := e.check(); err != nil {
		return e, err
	}
	e.event = packet.NewEvent(event, args)
	size := len(e.event.JSON) + e.size()
	for _, a := range args.Attachments {
		size += len(a)
	}
	if size > l.bytes {
		return e, errSize
	}
	return e, nil
}

// parseEmissions reads one event, or a list of them.
func parseEmissions(body jsontext.Value, l limits) ([]emission, error) {
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '[' {
		e, err := parseEmission(body, l, nil)
		return []emission{e}, err
	}
	values, err := elements(body, maxEvents)
	if err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return nil, errors.New("the list must not be empty")
	}
	emissions := make([]emission, len(values))
	for i, element := range values {
		if emissions[i], err = parseEmission(element, l, nil); err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return emissions, nil
}

// parseAsk reads an event whose acknowledgements are wanted.
func parseAsk(body jsontext.Value, l limits) (e emission, wait time.Duration, err error) {
	wait = defaultWait
	e, err = parseEmission(body, l, members{"timeout": func(v jsontext.Value) (err error) {
		wait, err = duration(v)
		return err
	}})
	return e, wait, err
}

// duration reads milliseconds, or a text such as 5s.
func duration(v jsontext.Value) (time.Duration, error) {
	wrong := fmt.Errorf("must be milliseconds, or a text such as 5s, more than 0 and at most %s", maxWait)
	var d time.Duration
	if s, err := text(v); err == nil {
		if d, err = time.ParseDuration(s); err != nil {
			return 0, wrong
		}
	} else {
		ms, err := whole(v, int(maxWait/time.Millisecond))
		if err != nil {
			return 0, wrong
		}
		d = time.Duration(ms) * time.Millisecond
	}
	if d < time.Millisecond || d > maxWait {
		return 0, wrong
	}
	return d, nil
}
