package adapter

import (
	"context"
	"time"
)

// HoleNode is a Node that is notified of holes in the order of an adapter that echoes.
type HoleNode interface {
	Node
	// Missed is called when commands in a namespace may have been lost before this node received them, because the cluster did not
	// keep them long enough. It is called by the goroutine of Deliver, before the next command or right behind those that were
	// received together with it.
	Missed(nsp string)
}

// Sessions is what an adapter that echoes may offer besides: clients' sessions, kept where every server of the cluster finds
// them, also when the one that had them was killed. Offsets are those of broadcasts. All methods are safe for concurrent use;
// only those with a context wait.
type Sessions interface {
	// Window sets how long a session outlives its server at least. It is called once, before the others and before Run.
	Window(d time.Duration)

	// Keep stores a session, by the id of its socket, and sees to it that it does not expire while its client is connected.
	// It is called again after each change.
	Keep(id string, k KeptSession)
	// Stored calls done once what Keep was last called for is stored, for the sessions of all these sockets: with nil, also where
	// a session is not kept or cannot be stored, and with ErrAway where that takes too long. done must not block; it may be called
	// before Stored returns.
	Stored(ids []string, done func(error))
	// Drop ends Keep and removes what is stored, unless another server has it by now.
	Drop(id string)

	// Position is an offset that this node has been delivered everything up to that is published in a namespace; empty: it is
	// not known yet.
	Position(nsp string) string
	// Begun is Position, or the offset of a command behind it that this node is being delivered at this moment. Position reaches it
	// soon. A namespace that was opened meanwhile may not have been given that command.
	Begun(nsp string) string
	// Find looks a session up by the secret of its client; nil: there is none that can be read.
	Find(ctx context.Context, pid string) (*FoundSession, error)
	// Exists reports whether there is still an entry of that offset in the order that the namespace belongs to.
	Exists(ctx context.Context, nsp, offset string) (bool, error)
	// Missed calls each for the commands of a namespace behind one offset up to another, in their order, until it returns false.
	// whole is false when some of them are not kept any more, or cannot be read.
	Missed(ctx context.Context, nsp, behind, through string, each func(offset string, c Command) bool) (whole bool, err error)
	// Take makes a session that was found this server's, and tells the server that has had it. false: it has changed since, or
	// another was faster.
	Take(ctx context.Context, f *FoundSession, as Session) (bool, error)
	// Release removes what is stored under the secret of a client whose session this server has taken and cannot go on with, unless
	// another server has it by now. It is called instead of Keep.
	Release(pid string)
}

// KeptSession is a session as the server has it that is its client's. No method blocks, and none is called under a lock of the
// adapter's.
type KeptSession interface {
	// Describe returns the session as it is now.
	Describe() Session
	// Taken is called when another server has taken the session.
	Taken()
}

// Session is a client's session in the form in which servers find it.
type Session struct {
	ID        string // of the socket
	PID       string // the secret of the client
	Namespace string // empty in one of Node's servers
	Rooms     []string
	Data      []byte // JSON value; nil: none
	// Begin is an offset behind which everything for the session comes, and At one up to which commands have had their effect on
	// Rooms. Empty in a session of Node's servers.
	Begin, At string
	State     []byte // what the server above keeps besides; nil: nothing
	// Away is since when the client is gone; zero: it is connected.
	Away time.Time
}

// FoundSession is a session that is stored.
type FoundSession struct {
	Session

	Owner string // which server has it, by its node id; empty for Node's servers
	Raw   string // as it is stored
}

// SessionsOf returns the Sessions of an adapter; nil when it has none.
func SessionsOf(a Adapter) Sessions {
	if has, ok := a.(interface{ Sessions() Sessions }); ok {
		return has.Sessions()
	}
	return nil
}
