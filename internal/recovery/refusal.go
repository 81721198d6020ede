package recovery

// Reason is why a client got a new socket instead of its session's. It is a metric label: a closed set, of which each has a result.
type Reason uint8

// The reasons.
const (
	ReasonEnded     Reason = iota // its window was over, or it ended in another way
	ReasonWaited                  // it could not be moved for as long as it waits for its client
	ReasonNeverHad                // no node that is alive has had it
	ReasonNodeGone                // the node that had it is not alive any more
	ReasonNamespace               // it is of a namespace that the node with it does not have, or of another one
	ReasonImmobile                // what the application keeps with it cannot move
	ReasonUnreached               // the node that has it does not answer
	ReasonKicked                  // a command has disconnected its socket; the client is sent that disconnect
	ReasonAlive                   // its connection answers a ping
	ReasonLate                    // a later claim was preferred, the client left, or the session cannot be had at the moment
	ReasonSubject                 // the token is of another subject
	ReasonLog                     // what the client missed is not kept any more
	ReasonJournal                 // it is not known any more which rooms the socket was in
	ReasonOffset                  // what the client names is no offset, and events were sent to it since its last pong
	ReasonStream                  // what the client missed is not in the stream any more, or is too much
	reasons
)

var reasonTable = [reasons]struct {
	label  string
	result Result
	why    string
}{
	ReasonEnded:     {"ended", Expired, "the session has ended"},
	ReasonWaited:    {"waited", Expired, "the session could not be moved until it had ended"},
	ReasonNeverHad:  {"never_had", Unknown, "this node has never had the session, nor has any that is alive"},
	ReasonNodeGone:  {"node_gone", Unknown, "the node that had the session is gone"},
	ReasonNamespace: {"namespace", Unknown, "the session is of another namespace, or of one that its node does not have"},
	ReasonImmobile:  {"immobile", Unknown, "what the application keeps in Data, or its Logic, cannot move, or its node moves none"},
	ReasonUnreached: {"unreached", Unreached, "the node that has the session has not been reached for too long"},
	ReasonKicked:    {"disconnected", Refused, "the socket was disconnected by a command meanwhile"},
	ReasonAlive:     {"alive", Refused, "the session's connection answers a ping"},
	ReasonLate:      {"late", Refused, "a later claim was preferred, the client left, or the session cannot be had at the moment"},
	ReasonSubject:   {"subject", Refused, "the token is not of the same subject"},
	ReasonLog:       {"log", Truncated, "the log does not reach back to what the client received last"},
	ReasonJournal:   {"journal", Truncated, "the journal of rooms does not reach back to what the client received last"},
	ReasonOffset:    {"offset", Truncated, "what the client names is no offset, and events were sent to it since its last pong"},
	ReasonStream:    {"stream", Truncated, "what the client missed is not in the stream any more, or is too much"},
}

// String is the label.
func (r Reason) String() string { return reasonTable[r].label }

// Refusal says why a client gets a new socket instead of its session's.
type Refusal struct {
	Reason Reason
	// Kicked: a command ended the session while the client was away, and the client is to be sent the disconnect.
	Kicked bool
	// Again: the session stands, or may, and cannot be had at the moment. The client is to try again, with the session.
	Again bool
}

// Result is what became of the claim.
func (r *Refusal) Result() Result { return reasonTable[r.Reason].result }

// Elsewhere reports whether another node may have the session: the one that refused has none that it could hand over.
func (r *Refusal) Elsewhere() bool { return r.Result() == Expired || r.Result() == Unknown }

// Why is the reason for the log.
func (r *Refusal) Why() string { return reasonTable[r.Reason].why }

// Refusal is a refusal for the reason.
func (r Reason) Refusal() *Refusal {
	return &Refusal{Reason: r, Kicked: r == ReasonKicked, Again: r == ReasonLate}
}

// RefusedBy is a refusal of another node's, by the label of its reason.
func RefusedBy(label string) *Refusal {
	for r := range reasons {
		if reasonTable[r].label == label {
			return r.Refusal()
		}
	}
	return ReasonNeverHad.Refusal()
}
