package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/internal/redisstream"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/internal/streamsession"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// sessions are clients' sessions in Redis, and what they have missed, read from the streams.
type sessions struct {
	*streamsession.Store

	d       *streams
	reading chan struct{} // one value for each that may read a stream at the same time
	on      bool          // static once Run has been called
}

var _ adapter.Sessions = (*sessions)(nil)

const (
	// mostReading is how many clients' events are read at the same time: each holds a batch.
	mostReading = 8
	// readBytes is about what a batch of entries may take.
	readBytes = 1 << 20
	// Of entries whose size is not known yet firstRead are read, and never more than mostRead.
	firstRead, mostRead = 16, 1000
)

// Sessions returns what keeps sessions for all servers; nil unless commands go through streams.
func (a *Adapter) Sessions() adapter.Sessions {
	if a.streams == nil {
		return nil
	}
	return a.streams.sessions
}

func (a *Adapter) newSessions(d *streams) (*sessions, error) {
	metrics, err := streamsession.NewMetrics(a.config.Registry)
	if err != nil {
		return nil, fmt.Errorf("redis: register metrics: %w", err)
	}
	return &sessions{
		d: d, reading: make(chan struct{}, mostReading),
		Store: streamsession.New(streamsession.Config{
			Client: a.client, Node: a.config.NodeID, Prefix: a.config.Streams.SessionPrefix, Logger: a.log, Refusals: a.refusals, Metrics: metrics,
		}),
	}, nil
}

// Window implements [adapter.Sessions].
func (s *sessions) Window(d time.Duration) {
	s.on = true
	s.SetWindow(d)
}

// Stored implements [adapter.Sessions].
func (s *sessions) Stored(ids []string, done func(error)) {
	s.Store.Stored(ids, s.d.cluster.config.RequestTimeout, done)
}

// Position implements [adapter.Sessions].
func (s *sessions) Position(nsp string) string { return s.d.log(nsp).Received() }

// Begun implements [adapter.Sessions].
func (s *sessions) Begun(nsp string) string { return s.d.log(nsp).Begun() }

// Exists implements [adapter.Sessions].
func (s *sessions) Exists(ctx context.Context, nsp, offset string) (bool, error) {
	found, err := s.d.client.XRangeN(ctx, s.d.log(nsp).Name(), offset, offset, 1).Result()
	if err != nil {
		return false, fmt.Errorf("redis: look for an entry: %w", err)
	}
	return len(found) > 0, nil
}

// Missed implements [adapter.Sessions].
func (s *sessions) Missed(
	ctx context.Context, nsp, behind, through string, each func(offset string, c adapter.Command) bool,
) (whole bool, err error) {
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	name, from, count := s.d.log(nsp).Name(), behind, int64(firstRead)
	for redisstream.Before(from, through) {
		batch, err := s.d.client.XRangeN(ctx, name, "("+from, through, count).Result()
		if err != nil {
			return false, fmt.Errorf("redis: read what a client missed: %w", err)
		}
		size := 1
		for i := range batch {
			e := entryOf(&batch[i])
			size += len(e.Data) + 64
			if e.Namespace != nsp {
				continue
			}
			if len(e.Data) > s.d.cluster.config.MaxMessage {
				return false, nil
			}
			if c := s.d.commandOf(&e); c != nil && !each(batch[i].ID, c) {
				return true, nil
			}
		}
		if int64(len(batch)) < count {
			break
		}
		from = batch[len(batch)-1].ID
		count = min(max(int64(readBytes*len(batch)/size), 1), 4*count, mostRead)
	}
	return s.keeps(ctx, name, behind)
}

// keeps reports whether everything behind an entry is still in a stream. Before all entries that cannot be told: a stream that is
// long enough here may have been trimmed by servers that keep less.
func (s *sessions) keeps(ctx context.Context, name, behind string) (bool, error) {
	if behind == redisstream.First {
		return false, nil
	}
	oldest, err := s.d.client.XRangeN(ctx, name, "-", "+", 1).Result()
	if s.d.cluster.refusals.Refused(streamsession.Refused, err) {
		return false, nil // it is not known, nor will it be
	} else if err != nil {
		return false, fmt.Errorf("redis: look for the oldest entry: %w", err)
	}
	return len(oldest) > 0 && !redisstream.Before(behind, oldest[0].ID), nil
}

func entryOf(m *goredis.XMessage) rediswire.StreamEntry {
	text := func(name string) string {
		value, _ := m.Values[name].(string)
		return value
	}
	return rediswire.StreamEntry{
		UID: text(streamFields[fieldUID]), Namespace: text(streamFields[fieldNamespace]), Type: text(streamFields[fieldType]),
		Data: []byte(text(streamFields[fieldData])),
	}
}

// commandOf is the command in an entry; nil: there is none that a node carries out.
func (d *streams) commandOf(e *rediswire.StreamEntry) adapter.Command {
	if e.Type == rediswire.StreamServerEmit {
		return nil
	}
	payload, err := e.Message()
	if err != nil {
		return nil
	}
	if _, b, ok := rediswire.ClusterBroadcast(e.Namespace, "", payload, d.cluster.limits); ok {
		return b
	}
	m, err := rediswire.DecodeCluster(e.Namespace, payload, d.cluster.limits)
	if err != nil {
		return nil
	}
	if e.Type == rediswire.StreamEnded {
		return endedBy(&m)
	}
	return m.Command
}

// taken is the data of an entry by which a node tells another that it has taken a session. Node's servers pass over the type.
type taken struct {
	Socket string `json:"sid"`
	Node   string `json:"node"`
}

// Take implements [adapter.Sessions].
func (s *sessions) Take(ctx context.Context, f *adapter.FoundSession, as adapter.Session) (bool, error) {
	ok, err := s.Store.Take(ctx, f, as)
	if ok && f.Owner != "" && f.Owner != s.d.cluster.config.NodeID {
		data, _ := json.Marshal(taken{Socket: f.ID, Node: f.Owner}) // never fails: two strings
		s.d.append(&rediswire.StreamEntry{
			UID: s.d.cluster.config.NodeID, Namespace: as.Namespace, Type: rediswire.StreamTaken, Data: data,
		}, nil, nil)
	}
	return ok, err
}

// receiveTaken acts on another node's having taken a session.
func (s *sessions) receiveTaken(data []byte) redisserver.Drop {
	var t taken
	if json.Unmarshal(data, &t) != nil {
		return droppedMalformed
	}
	if t.Node == s.d.cluster.config.NodeID {
		s.Taken(t.Socket)
	}
	return redisserver.Accepted
}
