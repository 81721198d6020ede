package policy

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// place is where in a namespace's configuration an expression stands; it decides which variables there are.
type place uint8

const (
	inConnect place = iota
	inRule
	inDisconnect
)

var variables = []struct {
	name   string
	kind   *cel.Type
	places []place // nil: everywhere
}{
	{"args", cel.ListType(cel.DynType), []place{inRule}},
	{"event", cel.StringType, []place{inRule}},
	{"sid", cel.StringType, nil},
	{"nsp", cel.StringType, nil},
	{"ip", cel.StringType, nil},
	{"now", cel.IntType, nil},
	{"rooms", cel.ListType(cel.StringType), nil},
	{"claims", cel.MapType(cel.StringType, cel.DynType), nil},
	{"auth", cel.MapType(cel.StringType, cel.DynType), nil},
	{"query", cel.MapType(cel.StringType, cel.StringType), nil},
	{"headers", cel.MapType(cel.StringType, cel.StringType), nil},
	{"reason", cel.StringType, []place{inDisconnect}},
}

// activation holds the variables of one evaluation: of one event, or of one connect or disconnect. Each is made when an
// expression first asks for it, and then stays what it was. One goroutine at a time. Nothing evaluated refers to it
// once it is released: what leaves a rule is text.
type activation struct {
	socket socket
	event  string
	args   packet.Args
	reason string

	argList                              list
	rooms                                *roomList
	now, claims, auth, query, headerList ref.Val
}

var activations = sync.Pool{New: func() any { return new(activation) }}

func newActivation(s socket, event string, args packet.Args) *activation {
	a := activations.Get().(*activation)
	a.socket, a.event, a.args = s, event, args
	return a
}

func (a *activation) release() {
	*a = activation{}
	activations.Put(a)
}

var (
	noMembers = raw{text: []byte("{}")}
	noArgs    = raw{text: []byte("[]")}
)

// Parent and ResolveName make activation a cel.Activation.
func (a *activation) Parent() cel.Activation { return nil }

// ResolveName finds a variable. Which ones a place has was decided when the expression was compiled.
func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "args":
		return a.arguments(), true
	case "event":
		return types.String(a.event), true
	case "sid":
		return types.String(a.socket.ID()), true
	case "nsp":
		return types.String(a.socket.Nsp()), true
	case "ip":
		return types.String(a.socket.Handshake().Address), true
	case "now":
		return once(&a.now, func() ref.Val { return types.Int(time.Now().UnixMilli()) }), true
	case "rooms":
		if a.rooms == nil {
			a.rooms = newRoomList(a.socket)
		}
		return a.rooms, true
	case "claims":
		return once(&a.claims, func() ref.Val { return newObject(noMembers) }), true
	case "auth":
		return once(&a.auth, func() ref.Val { return newObject(a.authObject()) }), true
	case "query":
		return once(&a.query, a.queryMap), true
	case "headers":
		return once(&a.headerList, a.headerMap), true
	case "reason":
		return types.String(a.reason), true
	}
	return nil, false
}

func once(v *ref.Val, make func() ref.Val) ref.Val {
	if *v == nil {
		*v = make()
	}
	return *v
}

func (a *activation) arguments() *list {
	if a.argList.of == nil {
		a.argList.init(a.argsArray())
	}
	return &a.argList
}

func (a *activation) argsArray() raw {
	if len(a.args.JSON) == 0 || a.args.JSON[0] != '[' {
		return noArgs
	}
	return raw{a.args.JSON, a.args.Attachments}
}

func (a *activation) authObject() raw {
	auth := a.socket.Auth()
	i := skipSpace(auth.JSON, 0)
	if i == len(auth.JSON) || auth.JSON[i] != '{' {
		return noMembers
	}
	return raw{auth.JSON[i:], auth.Attachments}
}

// queryMap takes the first value of a parameter that is there more than once.
func (a *activation) queryMap() ref.Val {
	query := a.socket.Handshake().Query
	values := make(map[string]string, len(query))
	for name := range query {
		values[name] = query.Get(name)
	}
	return types.NewStringStringMap(types.DefaultTypeAdapter, values)
}

// headerMap joins repeated headers as HTTP allows: with commas, cookies with semicolons.
func (a *activation) headerMap() ref.Val {
	headers := a.socket.Handshake().Headers
	values := make(map[string]string, len(headers))
	for name, all := range headers {
		separator := ", "
		if http.CanonicalHeaderKey(name) == "Cookie" {
			separator = "; "
		}
		values[strings.ToLower(name)] = strings.Join(all, separator)
	}
	return types.NewStringStringMap(types.DefaultTypeAdapter, values)
}
