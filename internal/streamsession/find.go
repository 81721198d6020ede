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
		return false, fmt.Errorf("streamsession: take a session: %w", err)
	}
	return n == 1, nil
}
