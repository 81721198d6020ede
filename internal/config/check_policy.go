package config

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxRoomName is the longest name of a room, in bytes.
const maxRoomName = 256

// maxPartitions is how many partitions a route may have. Every node looks at each of them every few seconds.
const maxPartitions = 1024

func (l *loader) checkRoutes(routes map[string]Route) {
	for _, name := range slices.Sorted(maps.Keys(routes)) {
		key, route := EntryKey("routes", name), routes[name]
		if strings.Contains(key, "[") || name == "" {
			l.fault(key, "%s is not a name of letters, digits, - and _", quote(name))
		}
		between(l, key+".partitions", route.Partitions, 1, maxPartitions)
		positive(l, key+".deadline", route.Deadline)
		for i, group := range route.Groups {
			l.notEmpty(indexKey(key+".groups", i), group)
		}
		atLeast(l, key+".keep", route.Keep, 0)
		positive(l, key+".max_entries", route.MaxEntries)
		atLeast(l, key+".replicas", route.Replicas, 0)
		if webhook := route.Webhook; webhook != nil {
			l.checkEndpoint(key+".webhook", webhook.URL, webhook.Secret)
			positive(l, key+".webhook.timeout", webhook.Timeout)
			atLeast(l, key+".webhook.retries", webhook.Retries, 0)
		}
	}
}

// place is where in a namespace an action stands.
type place string

const (
	inConnect    place = "connect"
	inRules      place = "rules"
	inDisconnect place = "disconnect"
)

// verbsAt lists what may be done where.
var verbsAt = map[place][]Verb{
	inConnect:    {VerbJoin, VerbEmit, VerbBroadcast, VerbReply},
	inRules:      {VerbJoin, VerbLeave, VerbEmit, VerbBroadcast, VerbReply, VerbForward, VerbDisconnect},
	inDisconnect: {VerbEmit, VerbBroadcast},
}

func (l *loader) checkNamespaces(namespaces map[string]Namespace) {
	for _, name := range slices.Sorted(maps.Keys(namespaces)) {
		key, namespace := EntryKey("namespaces", name), namespaces[name]
		l.checkNamespaceName(key, name)
		if ask := namespace.Connect.Ask; ask != nil {
			l.checkEndpoint(key+".connect.ask", ask.URL, ask.Secret)
			positive(l, key+".connect.ask.timeout", ask.Timeout)
			atLeast(l, key+".connect.ask.cache", ask.Cache, 0)
		}
		if namespace.Connect.Require != "" {
			l.oneOf(key+".connect.require", namespace.Connect.Require, RequireAnyone, RequireToken)
		}
		l.checkActions(key+".connect.do", namespace.Connect.Do, inConnect)
		for i := range namespace.Rules {
			l.checkRule(indexKey(key+".rules", i), &namespace.Rules[i])
		}
		l.checkActions(key+".disconnect.do", namespace.Disconnect.Do, inDisconnect)
	}
}

// checkNamespaceName checks the name of a namespace, or a pattern of names.
func (l *loader) checkNamespaceName(key, name string) {
	if !strings.HasPrefix(name, "/") && name != "*" {
		l.fault(key, "%s does not begin with /", quote(name))
	}
	l.checkPattern(key, name)
}

// checkEndpoint checks an HTTP endpoint that requests are posted to, and the secret that signs them.
func (l *loader) checkEndpoint(key string, url URL, secret Secret) {
	l.checkHTTPURL(key+".url", url)
	l.notEmpty(key+".secret", string(secret))
}

func (l *loader) checkRule(key string, rule *Rule) {
	if len(rule.Event) == 0 {
		l.fault(key, "has no event")
	}
	for i, pattern := range rule.Event {
		at := key + ".event"
		if _, list := l.origins[indexKey(at, i)]; list {
			at = indexKey(at, i)
		}
		l.notEmpty(at, pattern)
		l.checkPattern(at, pattern)
		if strings.HasPrefix(pattern, "auth:") {
			l.fault(at, "%s: names beginning with auth: belong to the gateway", quote(pattern))
		}
	}
	if rule.Schema.Kind != Absent && rule.Schema.Kind != Map && rule.Schema.Kind != Bool {
		l.fault(key+".schema", "must be a JSON Schema")
	}
	l.checkActions(key+".do", rule.Do, inRules)
	if rule.Deny.Kind != Absent {
		if rule.Deny.Kind != String {
			l.fault(key+".deny", "must be the text of the refusal")
		}
		if len(rule.Do) > 0 {
			l.fault(key+".do", "cannot stand beside deny")
		}
		if rule.Ack.Kind != Absent {
			l.fault(key+".ack", "cannot stand beside deny")
		}
	}
	l.checkAck(key, rule)
}

func (l *loader) checkAck(key string, rule *Rule) {
	switch rule.Ack.Kind {
	case Absent, List:
	case String:
		forwards := 0
		for i := range rule.Do {
			if rule.Do[i].Forward != "" {
				forwards++
			}
		}
		switch {
		case rule.Ack.Text == AckBackend && forwards != 1:
			l.fault(key+".ack", "%s needs exactly one forward in the same rule, which has %d", quote(AckBackend), forwards)
		case rule.Ack.Text == AckAccepted && forwards == 0:
			l.fault(key+".ack", "%s needs a forward in the same rule", quote(AckAccepted))
		case rule.Ack.Text != AckBackend && rule.Ack.Text != AckAccepted && !isTemplate(rule.Ack.Text):
			l.fault(key+".ack", "%s is neither a list of arguments, one ${…}, %s nor %s; the nearest word is %s",
				quote(rule.Ack.Text), AckAccepted, AckBackend, nearest(rule.Ack.Text, []string{AckAccepted, AckBackend}))
		}
	default:
		l.fault(key+".ack", "must be a list of arguments, one ${…}, %s or %s", AckAccepted, AckBackend)
	}
}

func (l *loader) checkActions(key string, actions []Action, where place) {
	for i := range actions {
		at := indexKey(key, i)
		verbs := actions[i].verbs()
		if len(verbs) != 1 {
			l.fault(at, "must have exactly one verb, not %d: %s", len(verbs), joinVerbs(verbsAt[where]))
		}
		for _, verb := range verbs {
			if !slices.Contains(verbsAt[where], verb) {
				l.fault(joinKey(at, string(verb)), "is not possible in %s: %s", where, joinVerbs(verbsAt[where]))
			}
		}
		l.checkAction(at, &actions[i])
	}
}

func joinVerbs(verbs []Verb) string {
	words := make([]string, len(verbs))
	for i, verb := range verbs {
		words[i] = string(verb)
	}
	return strings.Join(words, ", ")
}

func (l *loader) checkAction(key string, action *Action) {
	l.checkRooms(key+".join", action.Join)
	l.checkBackfill(key, action)
	l.checkRooms(key+".leave", action.Leave)
	if emit := action.Emit; emit != nil {
		if emit.To.Kind == Absent {
			l.fault(key+".emit", "has no to; to reach everyone in the namespace use broadcast")
		}
		l.checkRooms(key+".emit.to", emit.To)
		l.checkMessage(key+".emit", emit.Event, emit.Args)
		l.checkRooms(key+".emit.except", emit.Except)
	}
	if broadcast := action.Broadcast; broadcast != nil {
		l.checkMessage(key+".broadcast", broadcast.Event, broadcast.Args)
		l.checkRooms(key+".broadcast.except", broadcast.Except)
	}
	if reply := action.Reply; reply != nil {
		l.checkMessage(key+".reply", reply.Event, reply.Args)
	}
	if action.Disconnect != "" {
		l.oneOf(key+".disconnect", action.Disconnect, DisconnectNamespace, DisconnectConnection)
	}
}

// checkBackfill checks which kept messages a join sends.
func (l *loader) checkBackfill(key string, action *Action) {
	history, since := action.History, action.Since
	if history.Kind != Absent {
		if action.Join.Kind == Absent {
			l.fault(key+".history", "is only possible beside join")
		}
		if history.Kind != Int && (history.Kind != String || !isTemplate(history.Text)) {
			l.fault(key+".history", "must be a number of messages or one ${…}")
		}
	}
	if since.Kind != Absent {
		if action.Join.Kind == Absent || history.Kind != Absent {
			l.fault(key+".since", "is only possible beside join, without history")
		}
		if since.Kind != String {
			l.fault(key+".since", "must be the id of a message or one ${…}")
		}
	}
}

func (l *loader) checkMessage(key string, event, args Value) {
	switch {
	case event.Kind == Absent:
		l.fault(key, "has no event")
	case event.Kind != String || event.Text == "":
		l.fault(key+".event", "must be the name of an event")
	}
	if args.Kind != Absent && args.Kind != List && (args.Kind != String || !isTemplate(args.Text)) {
		l.fault(key+".args", "must be a list of arguments or one ${…}")
	}
}

// checkRooms checks what can be seen of rooms before their templates have values.
func (l *loader) checkRooms(key string, rooms Value) {
	switch rooms.Kind {
	case Absent:
	case List:
		if len(rooms.List) == 0 {
			l.fault(key, "is an empty list of rooms")
		}
		for i, room := range rooms.List {
			l.checkRoom(indexKey(key, i), room)
		}
	default:
		l.checkRoom(key, rooms)
	}
}

func (l *loader) checkRoom(key string, room Value) {
	switch {
	case room.Kind != String && room.Kind != Int:
		l.fault(key, "must be the name of a room or a list of names")
	case room.Text == "":
		l.fault(key, "is an empty name")
	case len(room.Text) > maxRoomName && !strings.Contains(room.Text, "${"):
		l.fault(key, "is a name of %d bytes; at most %d are allowed", len(room.Text), maxRoomName)
	}
}

// checkPattern checks a name that may end in *.
func (l *loader) checkPattern(key, pattern string) {
	if strings.Contains(strings.TrimSuffix(pattern, "*"), "*") {
		l.fault(key, "%s: a * is only possible at the end", quote(pattern))
	}
	if !utf8.ValidString(pattern) {
		l.fault(key, "%s is not UTF-8", quote(pattern))
	}
}

// isTemplate reports whether text can be one ${…}; whether it is one is for the policy to say.
func isTemplate(text string) bool {
	return strings.HasPrefix(text, "${") && strings.HasSuffix(text, "}")
}
