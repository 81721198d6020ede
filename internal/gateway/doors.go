package gateway

import (
	"net/http"
	"strings"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// door is a path for clients without a Socket.IO library, and all paths below it.
type door struct {
	path    string // without a slash at its end
	handler http.Handler
}

// newDoors returns the doors that the configuration opens, one below another first.
func newDoors(cfg config.Config, io *socketio.Server) []door {
	var doors []door
	if path := strings.TrimSuffix(cfg.Native.Path, "/"); cfg.Native.Path != "" {
		doors = append(doors, door{path, io.WebSocket(path)})
	}
	if path := strings.TrimSuffix(cfg.SSE.Path, "/"); cfg.SSE.Path != "" {
		doors = append(doors, door{path, io.EventStream(path)})
	}
	if len(doors) == 2 && doors[0].leads(doors[1].path) {
		doors[0], doors[1] = doors[1], doors[0]
	}
	return doors
}

// leads reports whether a request is the door's.
func (d door) leads(path string) bool {
	rest, ok := strings.CutPrefix(path, d.path)
	return ok && (rest == "" || rest[0] == '/')
}

// findDoor returns the handler of the door that a request is for; nil when it is for none.
func findDoor(doors []door, r *http.Request) http.Handler {
	for _, d := range doors {
		if d.leads(r.URL.Path) {
			return d.handler
		}
	}
	return nil
}
