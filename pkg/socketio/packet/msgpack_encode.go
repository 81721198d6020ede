package packet

import (
	"bytes"
	"fmt"

	"github.com/carillon-io/carillon/internal/msgjson"
)

// AppendMsgpack appends the msgpack parser's binary message of p to dst, attachments included. For what a server sends,
// the bytes are those of Node's: members in the order in which its server sets them, and undefined where it leaves one
// without a value. Only numbers differ that JavaScript does not hold exactly, and integers from 2^64 on, which the
// official encoder spoils: those are floats. It is an error when Data is no valid JSON or has a placeholder without its
// attachment; dst comes back as it was.
func AppendMsgpack(dst []byte, p *Packet) ([]byte, error) {
	isList := p.Type == Event || p.Type == Ack
	hasData := isList || len(p.Data) > 0
	count := 2 // type and nsp
	if p.HasID {
		count++
	}
	if hasData {
		count++
	}
	// Node's server writes this one refusal at another place than all others.
	namespaceFirst := p.Type == ConnectError && string(p.Data) == `{"message":"Invalid namespace"}`

	out := msgjson.AppendMap(dst, count)
	if p.HasID && p.Type == Ack {
		out = appendIDMember(out, p.ID)
	}
	out = msgjson.AppendUint(msgjson.AppendString(out, "type"), uint64(p.Type))
	if namespaceFirst {
		out = appendNamespaceMember(out, p.Namespace)
	}
	if hasData {
		start := len(out)
		var err error
		if out, err = appendDataMember(out, p); err != nil {
			return dst, fmt.Errorf("packet: encode data: %w", err)
		}
		if !namespaceFirst {
			out = appendUndefined(out, start+len(dataMember), p.Type)
		}
	}
	if p.HasID && p.Type != Ack {
		out = appendIDMember(out, p.ID)
	}
	if !namespaceFirst {
		out = appendNamespaceMember(out, p.Namespace)
	}
	return out, nil
}

const dataMember = "\xa4data"

func appendDataMember(dst []byte, p *Packet) ([]byte, error) {
	dst = append(dst, dataMember...)
	if len(p.Data) == 0 {
		return msgjson.AppendArray(dst, 0), nil
	}
	return msgjson.AppendMsgpack(dst, p.Data, p.Attachments, builderDepth)
}

// appendUndefined adds the member that Node's server leaves undefined to the map at start, which ends dst: the private
// id of a socket that cannot be recovered, and the data of an error that has none.
func appendUndefined(dst []byte, start int, t Type) []byte {
	const (
		answer  = "\x81\xa3sid"     // a map of sid alone
		refusal = "\x81\xa7message" // a map of message alone
	)
	switch data := dst[start:]; {
	case t == Connect && bytes.HasPrefix(data, []byte(answer)):
		data[0]++
		return append(dst, "\xa3pid\xd4\x00\x00"...)
	case t == ConnectError && bytes.HasPrefix(data, []byte(refusal)):
		data[0]++
		return append(dst, "\xa4data\xd4\x00\x00"...)
	}
	return dst
}

func appendIDMember(dst []byte, id uint64) []byte {
	return msgjson.AppendUint(msgjson.AppendString(dst, "id"), id)
}

func appendNamespaceMember(dst []byte, name string) []byte {
	if name == "" {
		name = "/"
	}
	return msgjson.AppendString(msgjson.AppendString(dst, "nsp"), name)
}
