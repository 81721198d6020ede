package expression

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"github.com/carillon-io/carillon/internal/celjson"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Place is where in a namespace's configuration an expression stands; it decides which variables there are.
type Place uint8

// The places.
const (
	InConnect Place = iota
	InRule
	InDisconnect
)

type variable struct {
	name   string
	kind   *cel.Type
	places []Place // nil: everywhere
}

func (v variable) in(p Place) bool { return v.places == nil || slices.Contains(v.places, p) }

var variables = []variable{
	{"args", cel.ListType(cel.DynType), []Place{InRule}},
	{"event", cel.StringType, []Place{InRule}},
	{"sid", cel.StringType, nil},
	{"nsp", cel.StringType, nil},
	{"ip", cel.StringType, nil},
	{"now", cel.IntType, nil},
	{"rooms", cel.ListType(cel.StringType), nil},
	{"claims", cel.MapType(cel.StringType, cel.DynType), nil},
	{"auth", cel.MapType(cel.StringType, cel.DynType), nil},
	{"query", cel.MapType(cel.StringType, cel.StringType), nil},
	{"headers", cel.MapType(cel.StringType, cel.StringType), nil},
	{"reason", cel.StringType, []Place{InDisconnect}},
}

// VariablesOf are the names of the variables of a place.
func VariablesOf(p Place) []string {
	var names []string
	for _, v := range variables {
		if v.in(p) {
			names = append(names, v.name)
		}
	}
	return names
}

// Subject is the client that an evaluation is about.
type Subject interface {
	ID() string
	Nsp() string
	Handshake() engine.Handshake
	Auth() packet.Args
	// Claims is the JSON object of the client's verified token; nil when there is none.
	Claims() []byte
	// Rooms and In tell the membership as it is.
	Rooms(dst []string) []string
	In(room string) bool
}

// Activation holds the variables of one evaluation: of one event, or of one connect or disconnect. Each is made when an
// expression first asks for it, and then stays what it was. It is for one goroutine. No result refers to it: what leaves
// a rule is text.
type Activation struct {
	Subject Subject
	Event   string
	Args    packet.Args
	Reason  string // of a disconnect
	Budget  celjson.Budget
	// MaxDepth is how many arrays and objects in each other may be sent; 0: as many as the codec writes.
	MaxDepth int

	args                              celjson.List
	argsMade                          bool
	rooms                             *roomList
	now, claims, auth, query, headers ref.Val
}

var activations = sync.Pool{New: func() any { return new(Activation) }}

// NewActivation returns an activation with a full budget, which ends with ctx; nil never ends.
func NewActivation(ctx context.Context, s Subject) *Activation {
	a := activations.Get().(*Activation)
	a.Subject = s
	a.Budget.Reset(ctx)
	return a
}

// Release hands the activation back. It must not be used afterwards.
func (a *Activation) Release() {
	*a = Activation{}
	activations.Put(a)
}

var (
	noMembers = celjson.Raw{Text: []byte("{}")}
	noArgs    = celjson.Raw{Text: []byte("[]")}
)

// Parent and ResolveName make Activation a cel.Activation.
func (a *Activation) Parent() cel.Activation { return nil }

// ResolveName finds a variable. Which ones a place has was decided when the expression was compiled.
func (a *Activation) ResolveName(name string) (any, bool) {
	switch name {
	case celjson.BudgetVariable:
		return &a.Budget, true
	case "args":
		if !a.argsMade {
			a.args.Init(a.argsArray(), &a.Budget)
			a.argsMade = true
		}
		return &a.args, true
	case "event":
		return types.String(a.Event), true
	case "sid":
		return types.String(a.Subject.ID()), true
	case "nsp":
		return types.String(a.Subject.Nsp()), true
	case "ip":
		return types.String(a.Subject.Handshake().Address), true
	case "now":
		return once(&a.now, func() ref.Val { return types.Int(time.Now().UnixMilli()) }), true
	case "rooms":
		if a.rooms == nil {
			a.rooms = &roomList{subject: a.Subject}
		}
		return a.rooms, true
	case "claims":
		return once(&a.claims, func() ref.Val { return celjson.NewObject(a.claimsObject(), &a.Budget) }), true
	case "auth":
		return once(&a.auth, func() ref.Val { return celjson.NewObject(a.authObject(), &a.Budget) }), true
	case "query":
		return once(&a.query, a.queryMap), true
	case "headers":
		return once(&a.headers, a.headerMap), true
	case "reason":
		return types.String(a.Reason), true
	}
	return nil, false
}

func once(v *ref.Val, make func() ref.Val) ref.Val {
	if *v == nil {
		*v = make()
	}
	return *v
}

func (a *Activation) argsArray() celjson.Raw {
	if len(a.Args.JSON) == 0 || a.Args.JSON[0] != '[' {
		return noArgs
	}
	return celjson.Raw{Text: a.Args.JSON, Attachments: a.Args.Attachments}
}

func (a *Activation) authObject() celjson.Raw {
	auth := a.Subject.Auth()
	return object(auth.JSON, auth.Attachments)
}

func (a *Activation) claimsObject() celjson.Raw { return object(a.Subject.Claims(), nil) }

// object is a JSON object; anything else has no members.
func object(text []byte, attachments [][]byte) celjson.Raw {
	for i, c := range text {
		if c == '{' {
			return celjson.Raw{Text: text[i:], Attachments: attachments}
		}
		if c > ' ' {
			break
		}
	}
	return noMembers
}

// queryMap takes the last value of a parameter that is there more than once, as Node does.
func (a *Activation) queryMap() ref.Val {
	query := a.Subject.Handshake().Query
	values := make(map[string]string, len(query))
	for name, all := range query {
		values[name] = all[len(all)-1]
	}
	return types.NewStringStringMap(types.DefaultTypeAdapter, values)
}

// headerMap joins repeated headers as HTTP allows: with commas, cookies with semicolons.
func (a *Activation) headerMap() ref.Val {
	headers := a.Subject.Handshake().Headers
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
