package config

import "time"

// What Connect.Require may say.
const (
	RequireAnyone = "anyone"
	RequireToken  = "token"
)

// Namespace is what the gateway does with the clients of one namespace, or of all that match a pattern.
type Namespace struct {
	// Who may join, and what happens then.
	Connect Connect `key:"connect,omitempty"`
	// What events do. Tried in order; the first whose event matches and whose if is true decides. What no rule decides is denied.
	Rules []Rule `key:"rules,omitempty"`
	// What happens when a socket leaves.
	Disconnect Disconnect `key:"disconnect,omitempty"`
	// false leaves the namespace out of socketio.recovery.
	Recovery *bool `key:"recovery,omitempty"`
}

// Connect decides who may join the namespace and what happens then.
type Connect struct {
	// anyone, or token: only with a valid token (auth). Empty: anyone.
	Require string `key:"require,omitempty"`
	// Who may join, in CEL.
	If Expression `key:"if,omitempty"`
	// Actions, in order: join, emit, broadcast, reply.
	Do []Action `key:"do,omitempty"`
	// A backend that decides who may join. Without it none is asked.
	Ask *Ask `key:"ask,omitempty"`
}

// Ask is an HTTP endpoint that decides whether a client may join a namespace.
type Ask struct {
	// http:// or https://.
	URL URL `key:"url"`
	// Signs each question.
	Secret Secret `key:"secret"`
	// How long the answer may take.
	Timeout time.Duration `key:"timeout"`
	// How long an answer holds for the same question. 0s: each is asked.
	Cache time.Duration `key:"cache"`
	// Permits private, loopback and link-local addresses.
	AllowPrivate bool `key:"allow_private"`
}

// Disconnect is what happens when a socket leaves the namespace.
type Disconnect struct {
	// Actions, in order: emit, broadcast. The socket is still in its rooms.
	Do []Action `key:"do,omitempty"`
}

// Rule is what a client's event does.
type Rule struct {
	// What metrics and logs call the rule. Empty: its position and event.
	Name string `key:"name,omitempty"`
	// A name, a prefix ending in `*`, `*`, or a list of these.
	Event Patterns `key:"event,omitempty"`
	// Whether the rule decides, in CEL. Empty: always.
	If Expression `key:"if,omitempty"`
	// How often one connection may: 2/s, 30/m, 100/h.
	Rate Rate `key:"rate,omitempty"`
	// JSON Schema of the list of arguments.
	Schema Value `key:"schema,omitempty"`
	// Actions, in order.
	Do []Action `key:"do,omitempty"`
	// Refuses the event with this text. Such a rule has neither do nor ack.
	Deny Value `key:"deny,omitempty"`
	// Arguments of the acknowledgement: a list, one `${…}`, `accepted` (a forward is stored), or `backend` (its answer). Empty: `{"ok": true}`.
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
	// Rooms to enter: a name, or a list of names.
	Join Value `key:"join,omitempty"`
	// Beside join: how many kept messages of the room to send. *(not in this version)*
	History Value `key:"history,omitempty"`
	// Beside join: the message after which kept ones are sent. *(not in this version)*
	Since Value `key:"since,omitempty"`
	// Rooms to leave.
	Leave Value `key:"leave,omitempty"`
	// Sends an event to rooms.
	Emit *Emit `key:"emit,omitempty"`
	// Sends an event to everyone in the namespace.
	Broadcast *Broadcast `key:"broadcast,omitempty"`
	// Sends an event to the socket itself.
	Reply *Reply `key:"reply,omitempty"`
	// Route that the event is appended to.
	Forward string `key:"forward,omitempty"`
	// namespace: the socket leaves it. connection: the client is cut off.
	Disconnect string `key:"disconnect,omitempty"`
}

// What Action.Disconnect may say.
const (
	DisconnectNamespace  = "namespace"
	DisconnectConnection = "connection"
)

// Emit sends an event to the members of rooms.
type Emit struct {
	// Rooms: a name, or a list of names.
	To Value `key:"to,omitempty"`
	// Name of the event.
	Event Value `key:"event,omitempty"`
	// List of arguments, or one `${…}`. Empty: none.
	Args Value `key:"args,omitempty"`
	// Rooms whose members are left out.
	Except Value `key:"except,omitempty"`
	// Leaves out the socket that the event came from.
	ExcludeSender bool `key:"exclude_sender,omitempty"`
	// May be dropped for clients that are behind.
	Volatile bool `key:"volatile,omitempty"`
}

// Broadcast sends an event to everyone in the namespace.
type Broadcast struct {
	// Name of the event.
	Event Value `key:"event,omitempty"`
	// List of arguments, or one `${…}`. Empty: none.
	Args Value `key:"args,omitempty"`
	// Rooms whose members are left out.
	Except Value `key:"except,omitempty"`
	// Leaves out the socket that the event came from.
	ExcludeSender bool `key:"exclude_sender,omitempty"`
	// May be dropped for clients that are behind.
	Volatile bool `key:"volatile,omitempty"`
}

// Reply sends an event to the socket itself.
type Reply struct {
	// Name of the event.
	Event Value `key:"event,omitempty"`
	// List of arguments, or one `${…}`. Empty: none.
	Args Value `key:"args,omitempty"`
	// May be dropped when the client is behind.
	Volatile bool `key:"volatile,omitempty"`
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
