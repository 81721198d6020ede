package rediswire

import (
	"math"
	"strconv"

	"github.com/carillon-io/carillon/internal/msgjson"
)

// Extent is how much of a list of sockets or rooms an answer holds; the zero value: all of it. A long list takes several
// messages between nodes of this project. Node's servers count messages as answers and ignore the members that tell the
// extent, so an answer to them is one message, cut where it must be.
type Extent struct {
	More  bool // other parts follow
	Parts int  // how many parts have preceded this last one, which is empty
	Cut   bool // entries are left out
}

const (
	memberMore  = "moreFollows"
	memberParts = "partsBefore"
	memberCut   = "cutShort"
)

// appendJSON appends the members that tell the extent, with a comma before each.
func (e Extent) appendJSON(dst []byte) []byte {
	if e.More {
		dst = append(dst, `,"`+memberMore+`":true`...)
	}
	if e.Parts > 0 {
		dst = strconv.AppendInt(append(dst, `,"`+memberParts+`":`...), int64(e.Parts), 10)
	}
	if e.Cut {
		dst = append(dst, `,"`+memberCut+`":true`...)
	}
	return dst
}

// read reads the value of one of these members.
func (e *Extent) read(key []byte, value *msgjson.Reader) (err error) {
	switch string(key) {
	case memberMore:
		e.More, err = readTruth(value)
	case memberCut:
		e.Cut, err = readTruth(value)
	default:
		var n float64
		if n, err = value.Number(); n >= 0 && n <= math.MaxInt32 {
			e.Parts = int(n)
		}
	}
	return err
}

// AnswerID finds the id of the question in an answer without reading the answer, which may be too long for that. Every
// known server writes it in front of the lists. ok is false when it is not there.
func AnswerID(payload []byte) (id string, ok bool) {
	if len(payload) > 0 && payload[0] == '{' {
		r := msgjson.NewTextReader(payload)
		return answerIDInText(&r, true)
	}
	r := msgjson.NewReader(payload, 0)
	return answerIDInPacked(&r, true)
}

func answerIDInText(r *msgjson.TextReader, outer bool) (id string, ok bool) {
	for r.Object(); r.More('}'); {
		switch key := r.Key(); string(key) {
		case "requestId":
			id = string(r.String())
			return id, id != ""
		case "type":
			r.Raw(0)
		default:
			if outer && string(key) == "data" {
				return answerIDInText(r, false)
			}
			return "", false
		}
	}
	return "", false
}

func answerIDInPacked(r *msgjson.Reader, outer bool) (id string, ok bool) {
	n, err := r.Map()
	if err != nil {
		return "", false
	}
	for range n {
		key, err := r.Bytes()
		if err != nil {
			return "", false
		}
		switch string(key) {
		case "requestId":
			id, err := readText(r)
			return id, err == nil && id != ""
		case "type":
			if r.Skip() != nil {
				return "", false
			}
		default:
			if outer && string(key) == "data" {
				return answerIDInPacked(r, false)
			}
			return "", false
		}
	}
	return "", false
}
