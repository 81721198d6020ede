package socketio

import (
	"strings"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/engine"
)

// handshakeInfo is a handshake in the words of Node's adapters.
type handshakeInfo struct {
	Headers map[string]string `json:"headers"`
	Time    string            `json:"time"`
	Address string            `json:"address"`
	XDomain bool              `json:"xdomain"`
	Secure  bool              `json:"secure"`
	Issued  int64             `json:"issued"`
	URL     string            `json:"url"`
	Query   map[string]string `json:"query"`
	Auth    struct{}          `json:"auth"`
}

// jsTime is how JavaScript writes a Date as text.
const jsTime = "Mon Jan 02 2006 15:04:05 GMT-0700 (MST)"

// info describes the socket to other nodes, but for its rooms. The auth object and whatever is private stay here: they
// hold what the client proved itself with.
func (s *Socket) info() adapter.SocketInfo {
	info := adapter.SocketInfo{ID: s.ID(), Data: []byte("{}")}
	if data := s.Data(); data != nil {
		if text := s.io.conns.JSON(data); text != nil {
			info.Data = text
		}
	}
	h := s.Handshake()
	about := handshakeInfo{
		Headers: make(map[string]string, len(h.Headers)), Query: map[string]string{},
		Time: h.Time.Format(jsTime), Issued: h.Time.UnixMilli(), Address: h.Address, XDomain: h.XDomain, Secure: h.Secure,
		URL: s.io.private.url(h.URL),
	}
	for name, values := range h.Headers {
		if !s.io.private.headers[name] {
			about.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	_, query, _ := strings.Cut(about.URL, "?")
	for name, values := range engine.ParseQuery(query) {
		about.Query[name] = values[0]
	}
	info.Handshake = s.io.conns.JSON(about)
	return info
}
