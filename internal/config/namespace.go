package config

import "time"

// What Connect.Require may say.
const (
	RequireAnyone = "anyone"
	RequireToken  = "token"
)

// Namespace is what the gateway does with the clients of one namespace, or of all that match a pattern.
type Namespace struct {
	Connect    Connect    `key:"connect,omitempty"`
	Rules      []Rule     `key:"rules,omitempty"`
	Disconnect Disconnect `key:"disconnect,omitempty"`
	// Recovery false leaves the namespace out of socketio.recovery; nil means true.
	Recovery *bool `key:"recovery,omitempty"`
}

// Connect decides who may join the namespace and what happens then.
type Connect struct {
	// Require is anyone or token; empty means anyone.
	Require string     `key:"require,omitempty"`
	If      Expression `key:"if,omitempty"`
	Do      []Action   `key:"do,omitempty"`
	// Ask is a backend that decides who may join; nil means none.
	Ask *Ask `key:"ask,omitempty"`
}

// Ask is an HTTP endpoint that decides whether a client may join a namespace.
type Ask struct {
	URL URL `key:"url"`
	// Secret signs each question.
	Secret  Secret        `key:"secret"`
	Timeout time.Duration `key:"timeout"`
	// Cache is how long an answer holds for the same question; zero means that each is asked.
	Cache time.Duration `key:"cache"`
	// AllowPrivate permits addresses that are not public.
	AllowPrivate bool `key:"allow_private"`
}

// Disconnect is what happens when a socket leaves the namespace.
type Disconnect struct {
	Do []Action `key:"do,omitempty"`
}

// Rule is what a client's event does. The first rule whose Event matches and whose If holds decides.
type Rule struct {
	// Name is how metrics and logs call the rule; empty means by position and event.
	Name  string     `key:"name,omitempty"`
	Event Patterns   `key:"event,omitempty"`
	If    Expression `key:"if,omitempty"`
	Rate  Rate       `key:"rate,omitempty"`
	// Schema is a JSON Schema of the argument list.
	Schema Value    `key:"schema,omitempty"`
	Do     []Action `key:"do,omitempty"`
	// Deny is the message of a refusal, a String; such a rule has neither Do nor Ack.
	Deny Value `key:"deny,omitempty"`
	// Ack is the text accepted or backend, one ${…}, or a list of arguments; Absent means {"ok":true}.
	Ack Value `key:"ack,omitempty"`
}

// The words Rule.Ack may hold instead of arguments.
const (
	// AckAccepted answers once Redis has stored the forwarded event.
	AckAccepted = "accepted"
	// AckBackend answers with what the backend answers.
	AckBackend = "backend"
)

// Verb names what an action does.
type Verb string

// The verbs. An action has exactly one of them.
const (
	VerbJoin       Verb = "join"
	VerbLeave      Verb = "leave"
	VerbEmit       Verb = "emit"
	VerbBroadcast  Verb = "broadcast"
	VerbReply      Verb = "reply"
	VerbForward    Verb = "forward"
	VerbDisconnect Verb = "disconnect"
)

// Action is one thing to do. After Load exactly the field of its Verb is set.
type Action struct {
	// Join and Leave are rooms: a String, an Int, or a List of these.
	Join Value `key:"join,omitempty"`
	// History is how many kept messages of the rooms a join sends, and Since the entry after which they begin. One of the
	// two may stand beside Join.
	History   Value      `key:"history,omitempty"`
	Since     Value      `key:"since,omitempty"`
	Leave     Value      `key:"leave,omitempty"`
	Emit      *Emit      `key:"emit,omitempty"`
	Broadcast *Broadcast `key:"broadcast,omitempty"`
	Reply     *Reply     `key:"reply,omitempty"`
	// Forward is the name of a route.
	Forward string `key:"forward,omitempty"`
	// Disconnect is DisconnectNamespace or DisconnectConnection.
	Disconnect string `key:"disconnect,omitempty"`
}

// What Action.Disconnect may say.
const (
	DisconnectNamespace  = "namespace"
	DisconnectConnection = "connection"
)

// Emit sends an event to the members of rooms.
type Emit struct {
	To Value `key:"to,omitempty"`
	// Event is a String, possibly with templates in it.
	Event Value `key:"event,omitempty"`
	// Args is a List, or a String that is one ${…}; Absent means no arguments.
	Args Value `key:"args,omitempty"`
	// Except are rooms whose members are left out.
	Except        Value `key:"except,omitempty"`
	ExcludeSender bool  `key:"exclude_sender,omitempty"`
	Volatile      bool  `key:"volatile,omitempty"`
}

// Broadcast sends an event to everyone in the namespace. Its fields are those of Emit.
type Broadcast struct {
	Event         Value `key:"event,omitempty"`
	Args          Value `key:"args,omitempty"`
	Except        Value `key:"except,omitempty"`
	ExcludeSender bool  `key:"exclude_sender,omitempty"`
	Volatile      bool  `key:"volatile,omitempty"`
}

// Reply sends an event to the socket itself. Its fields are those of Emit.
type Reply struct {
	Event    Value `key:"event,omitempty"`
	Args     Value `key:"args,omitempty"`
	Volatile bool  `key:"volatile,omitempty"`
}

// Verb returns what a does; empty when a holds no verb, which Load never lets through.
func (a *Action) Verb() Verb {
	verbs := a.verbs()
	if len(verbs) == 0 {
		return ""
	}
	return verbs[0]
}

func (a *Action) verbs() []Verb {
	var verbs []Verb
	for _, v := range []struct {
		verb Verb
		set  bool
	}{
		{VerbJoin, a.Join.Kind != Absent},
		{VerbLeave, a.Leave.Kind != Absent},
		{VerbEmit, a.Emit != nil},
		{VerbBroadcast, a.Broadcast != nil},
		{VerbReply, a.Reply != nil},
		{VerbForward, a.Forward != ""},
		{VerbDisconnect, a.Disconnect != ""},
	} {
		if v.set {
			verbs = append(verbs, v.verb)
		}
	}
	return verbs
}
