package upstream

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// maxToken is the longest token that is looked at, in bytes.
const maxToken = 128

// What is wrong with an answer.
var (
	errAnswerKind  = errors.New("upstream: an entry of the inbox that is no answer")
	errAnswerToken = errors.New("upstream: an answer without a token of at most 128 bytes")
	errAnswerSize  = errors.New("upstream: an answer that is too large")
	errAnswerData  = errors.New("upstream: an answer whose data is no JSON list of arguments")
)

// answerLimits bound the answers of backends as if clients had sent them: others parse what is passed on.
type answerLimits struct {
	bytes       int // data and attachments
	depth       int // of JSON
	attachments int
}

// parse reads an entry of the inbox: t ack a <token> data <JSON list> [b0 <bytes> …]. What it returns shares no memory with
// the entry.
func (l answerLimits) parse(fields map[string]any) (token string, args packet.Args, err error) {
	text := func(name string) (string, bool) {
		value, ok := fields[name].(string)
		return value, ok
	}
	if kind, _ := text("t"); kind != "ack" {
		return "", packet.Args{}, errAnswerKind
	}
	token, _ = text("a")
	if token == "" || len(token) > maxToken {
		return "", packet.Args{}, errAnswerToken
	}
	data, _ := text("data")
	size := len(data)
	var attachments []string
	for {
		bytes, ok := text("b" + strconv.Itoa(len(attachments)))
		if !ok {
			break
		}
		attachments = append(attachments, bytes)
		size += len(bytes)
	}
	if size > l.bytes {
		return token, packet.Args{}, errAnswerSize
	}
	args, err = l.decode(data, attachments)
	return token, args, err
}

// decode checks the arguments as those of a client's acknowledgement are.
func (l answerLimits) decode(data string, attachments []string) (packet.Args, error) {
	d := packet.Decoder{Parser: packet.DefaultParser, MaxAttachments: l.attachments, MaxDepth: l.depth}
	header := "30" // an acknowledgement with the id 0
	if len(attachments) > 0 {
		header = "6" + strconv.Itoa(len(attachments)) + "-0"
	}
	if len(data) == 0 || data[0] != '[' {
		return packet.Args{}, errAnswerData
	}
	p, ok, err := d.Text([]byte(header + data))
	for i := 0; err == nil && !ok; i++ {
		if i == len(attachments) {
			return packet.Args{}, errAnswerData
		}
		p, ok, err = d.Binary([]byte(attachments[i]))
	}
	if err != nil {
		return packet.Args{}, fmt.Errorf("%w: %w", errAnswerData, err)
	}
	if p.Type != packet.Ack {
		return packet.Args{}, errAnswerData
	}
	return p.Args(), nil
}
