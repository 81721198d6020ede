package rediswire

import (
	"github.com/carillon-io/carillon/internal/msgjson"
)

// envelope is how deeply the arguments of an event lie inside a request or response.
const envelope = 4

// unify turns a message that is JSON into MessagePack, so that one reader does for both.
func unify(payload []byte, limits Limits) ([]byte, error) {
	if err := limits.check(payload); err != nil {
		return nil, err
	}
	if len(payload) == 0 || payload[0] != '{' {
		return payload, nil
	}
	return msgjson.AppendMsgpack(make([]byte, 0, len(payload)), payload, nil, limits.depth()+envelope)
}

// eachMember calls member for every member of the map that payload is, with the bytes of its value.
func eachMember(payload []byte, limits Limits, member func(key []byte, value msgjson.Reader) error) error {
	packed, err := unify(payload, limits)
	if err != nil {
		return err
	}
	return eachEntry(msgjson.NewReader(packed, limits.depth()), limits.depth(), member)
}

// eachEntry calls member for every member of the map at r, which must be all there is. depth bounds the values.
func eachEntry(r msgjson.Reader, depth int, member func(key []byte, value msgjson.Reader) error) error {
	entries, err := r.Map()
	if err != nil {
		return err
	}
	for range entries {
		key, err := r.Bytes()
		if err != nil {
			return err
		}
		value, err := r.Raw()
		if err != nil {
			return err
		}
		if err := member(key, msgjson.NewReader(value, depth)); err != nil {
			return err
		}
	}
	return r.End()
}

// readText reads a scalar as text; nil and undefined are as good as missing.
func readText(r *msgjson.Reader) (string, error) {
	if kind := r.Kind(); kind == msgjson.Nil || kind == msgjson.Undefined {
		return "", r.Skip()
	}
	text, err := r.AppendText(nil)
	return string(text), err
}
