package streamsession

import (
	"context"
	"errors"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// Find looks a session up; nil: there is none.
func (s *Store) Find(ctx context.Context, pid string) (*adapter.FoundSession, error) {
	key := s.config.Prefix + pid
	text, err := s.config.Client.GetRange(ctx, key, 0, maxRecord).Result()
	switch {
	case errors.Is(err, goredis.Nil) || err == nil && text == "":
		return nil, nil
	case err != nil:
		s.failed(err)
		return nil, fmt.Errorf("streamsession: find a session: %w", err)
	}
	session, node, err := decode(text)
	if err != nil {
		return nil, err
	}
	if session.PID != pid {
		return nil, fmt.Errorf("%w: of another pid", errRecord)
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
