package webhook

import (
	"encoding/json"
	"time"

	"github.com/carillon-io/carillon/internal/bytesjson"
	"github.com/carillon-io/carillon/pkg/backend"
)

// contentType is that of a CloudEvent in structured mode.
const contentType = "application/cloudevents+json; charset=UTF-8"

// cloudEvent is a CloudEvent 1.0 with the extensions that entries have.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	Type            string          `json:"type"`
	Source          string          `json:"source"`
	ID              string          `json:"id"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Event           string          `json:"event,omitempty"`
	Namespace       string          `json:"namespace"`
	Socket          string          `json:"socket"`
	Seq             int64           `json:"seq"`
	User            string          `json:"user,omitempty"`
	Data            json.RawMessage `json:"data"`
}

// connected and disconnected are the data of the entries of a socket's life.
type (
	connected struct {
		IP     string          `json:"ip"`
		Auth   json.RawMessage `json:"auth,omitempty"`
		Claims json.RawMessage `json:"claims,omitempty"`
	}
	disconnected struct {
		Reason string `json:"reason"`
	}
)

// encode writes an entry as a CloudEvent.
func encode(e *backend.Entry) ([]byte, error) {
	c := cloudEvent{
		SpecVersion: "1.0", Type: "carillon." + e.Kind.String(), Source: "/carillon/routes/" + e.Route, ID: e.Key(),
		Time: e.Time.UTC().Format(time.RFC3339Nano), DataContentType: "application/json",
		Namespace: e.Namespace, Socket: e.Socket, Seq: e.Seq, User: e.User,
	}
	var err error
	switch e.Kind {
	case backend.KindConnected:
		c.Data, err = json.Marshal(connected{e.IP, e.Auth, e.Claims})
	case backend.KindDisconnected:
		c.Data, err = json.Marshal(disconnected{e.Reason})
	default:
		c.Event = e.Event
		c.Data = bytesjson.Append(nil, e.Args)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(c)
}
