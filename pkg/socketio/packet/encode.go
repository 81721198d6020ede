package packet

import "strconv"

// AppendText appends the text message of p to dst. The caller sends it and then each of p.Attachments as a binary
// message, in order. The bytes are those of the official encoder for the same data.
func AppendText(dst []byte, p *Packet) []byte {
	switch {
	case len(p.Attachments) > 0 && p.Type == Event:
		dst = append(dst, '5')
		dst = strconv.AppendInt(dst, int64(len(p.Attachments)), 10)
		dst = append(dst, '-')
	case len(p.Attachments) > 0 && p.Type == Ack:
		dst = append(dst, '6')
		dst = strconv.AppendInt(dst, int64(len(p.Attachments)), 10)
		dst = append(dst, '-')
	default:
		dst = append(dst, '0'+byte(p.Type))
	}
	if p.Namespace != "/" && p.Namespace != "" {
		dst = append(dst, p.Namespace...)
		dst = append(dst, ',')
	}
	if p.HasID {
		dst = strconv.AppendUint(dst, p.ID, 10)
	}
	if len(p.Data) == 0 && p.Type == Ack {
		return append(dst, "[]"...)
	}
	return append(dst, p.Data...)
}
