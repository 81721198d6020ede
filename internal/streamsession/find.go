package streamsession

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// Find looks a session up; nil: there is none. What is stored and is no session is none, and neither is one that Redis refuses to
// read for lack of rights: the client would try in vain for as long as that stands.
func (s *Store) Find(ctx context.Context, pid string) (*adapter.FoundSession, error) {
	key := s.config.Prefix + pid
	text, err := s.config.Client.GetRange(ctx, key, 0, maxRecord).Result()
	switch {
	case errors.Is(err, goredis.Nil) || err == nil && text == "":
		return nil, nil
	case redisconn.Denied(err), goredis.HasErrorPrefix(err, "WRONGTYPE"):
		s.failed(err)
		return nil, nil
	case err != nil:
		s.failed(err)
		return nil, fmt.Errorf("streamsession: find a session: %w", err)
	}
	session, node, err := decode(text)
	if err == nil && session.PID != pid {
		err = fmt.Errorf("%w: of another pid", errRecord)
	}
	if err != nil {
		s.config.Logger.Debug("what is stored is no session", zap.Error(err))
		return nil, nil
	}
	if node == s.config.Node {
		node = s.ownerBefore(pid, text)
	}
	return &adapter.FoundSession{Session: session, Owner: node, Raw: text}, nil
}

// Take makes a session that was found this node's. false: it has changed since.
func (s *Store) Take(ctx context.Context, f *adapter.FoundSession, as adapter.Session) (bool, error) {
	text, err := encode(s.owner, &as)
	if err != nil {
		return false, err
	}
	life := ttl(&as, s.window, s.renewal()).Milliseconds()
	n, err := take.Eval(ctx, s.config.Client, []string{s.config.Prefix + as.PID}, f.Raw, text, max(life, time.Second.Milliseconds())).Int()
	if err != nil {
		s.failed(err)
		s.doubt(as.PID, doubt{text: text, owner: f.Owner, at: time.Now()})
		return false, fmt.Errorf("streamsession: take a session: %w", err)
	}
	s.settle(as.PID)
	return n == 1, nil
}

// doubt is a session that this node may have taken without being told: Redis did not answer. Its client tries again.
type doubt struct {
	text  string // that the node wrote
	owner string // before
	at    time.Time
}

// mostDoubts bounds the sessions in doubt. The clients of others get new sockets at this node.
const mostDoubts = 1 << 10

func (s *Store) doubt(pid string, d doubt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.doubts == nil {
		s.doubts = make(map[string]doubt)
	}
	for other, old := range s.doubts {
		if time.Since(old.at) > s.window+s.renewal() {
			delete(s.doubts, other)
		}
	}
	if len(s.doubts) < mostDoubts {
		s.doubts[pid] = d
	}
}

// settle ends a doubt.
func (s *Store) settle(pid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.doubts, pid)
}

// ownerBefore is the server that has a session which is stored as this node's: this node, or the one that it took it from
// without being told.
func (s *Store) ownerBefore(pid, text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, in := s.doubts[pid]; in && d.text == text {
		return d.owner
	}
	return s.config.Node
}
