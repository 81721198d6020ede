package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ErrReplica is the reason why Dial refuses a server: it is not a master.
var ErrReplica = errors.New("redis: the server is a replica, and what is published there reaches no other server")

// DefaultReadTimeout is for options without one.
const DefaultReadTimeout = 5 * time.Second

// Dialer makes the connections of one purpose, one after the other. It is for one goroutine.
type Dialer struct {
	Source Source
	// Name is what CLIENT LIST shows, made of printable characters without spaces.
	Name string
	// Buffer is how many bytes are read at a time.
	Buffer int
	// Cluster: the server is one of a cluster, and is asked which.
	Cluster bool

	previous identity
}

// identity is how the server knows a connection. Both parts are needed to end it later: a restarted server counts its
// clients from 1 again, so the id alone may belong to another client by then.
type identity struct{ id, address string }

// Dial connects, logs in, refuses replicas, and ends the previous connection of this Dialer at the server. It returns
// when ctx ends at the latest.
func (d *Dialer) Dial(ctx context.Context) (*Conn, error) {
	options, err := d.Source(ctx)
	if err != nil {
		return nil, err
	}
	dialCtx, cancel := context.WithTimeout(ctx, options.DialTimeout)
	defer cancel()
	raw, err := options.Dialer(dialCtx, options.Network, options.Addr)
	if err != nil {
		return nil, fmt.Errorf("redis: dial %s: %w", options.Addr, err)
	}
	c := newConn(raw, options, d.Buffer)
	stop := context.AfterFunc(ctx, c.Close)
	defer stop()
	if err := d.login(ctx, c, *options); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// login lets go-redis log in over the connection and takes it back.
func (d *Dialer) login(ctx context.Context, c *Conn, options goredis.Options) error {
	lent := &lentConn{Conn: c.raw}
	client := goredis.NewClient(lentOptions(&options, lent, func(ctx context.Context, conn *goredis.Conn) error {
		return d.introduce(ctx, conn, c)
	}))
	err := client.Ping(ctx).Err()
	lent.over.Store(true)
	// Nothing is left to close but go-redis' own state.
	_ = client.Close()
	if err != nil {
		return fmt.Errorf("redis: log in at %s: %w", options.Addr, err)
	}
	if err := c.raw.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("redis: log in at %s: %w", options.Addr, err)
	}
	return nil
}

// lentOptions make a go-redis client that has one connection and cannot make another.
func lentOptions(
	options *goredis.Options, lent *lentConn, introduce func(context.Context, *goredis.Conn) error,
) *goredis.Options {
	connected := options.OnConnect
	options.OnConnect = func(ctx context.Context, conn *goredis.Conn) error {
		if connected != nil {
			if err := connected(ctx, conn); err != nil {
				return err
			}
		}
		return introduce(ctx, conn)
	}
	var given atomic.Bool
	options.Dialer = func(context.Context, string, string) (net.Conn, error) {
		if given.Swap(true) {
			return nil, errLent
		}
		return lent, nil
	}
	options.DialerRetries = 1
	options.ClientName = ""
	options.Protocol = 2
	options.MaxRetries = -1
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	options.ClientSideCache, options.ClientSideCacheConfig = nil, nil
	options.Limiter = nil
	options.PipelinePoolSize = -1
	// With a pool of one go-redis would go on dialling in the background after a failed dial.
	options.PoolSize, options.MaxActiveConns = 4, 1
	options.MinIdleConns, options.MaxIdleConns = 0, 1
	options.ConnMaxIdleTime, options.ConnMaxLifetime = -1, -1
	if options.ReadTimeout <= 0 {
		options.ReadTimeout = DefaultReadTimeout
	}
	return options
}

// introduce names the connection, learns its identity, ends the predecessor and asks for the role of the server, and for its
// id in a cluster. What the server does not know, or refuses for lack of rights, is done without.
func (d *Dialer) introduce(ctx context.Context, conn *goredis.Conn, c *Conn) error {
	pipe := conn.Pipeline()
	pipe.Do(ctx, "CLIENT", "SETNAME", d.Name)
	info := pipe.Do(ctx, "CLIENT", "INFO")
	if d.previous.id != "" {
		pipe.Do(ctx, "CLIENT", "KILL", "ID", d.previous.id, "ADDR", d.previous.address)
	}
	role := pipe.Do(ctx, "ROLE")
	var server *goredis.Cmd
	if d.Cluster {
		server = pipe.Do(ctx, "CLUSTER", "MYID")
	}
	commands, _ := pipe.Exec(ctx) // its error is the first of the commands'
	for _, command := range commands {
		if err := command.Err(); err != nil && !IsReply(err) {
			return fmt.Errorf("redis: introduce connection: %w", err)
		}
	}
	if text, err := info.Text(); err == nil {
		d.previous = parseIdentity(text)
	}
	if server != nil {
		c.Server, _ = server.Text() // without the right to ask it is not known
	}
	if fields, err := role.Slice(); err == nil && len(fields) > 0 {
		c.TellsRole = true
		if name, _ := fields[0].(string); name != "master" {
			return ErrReplica
		}
	}
	return nil
}

func parseIdentity(info string) identity {
	var found identity
	for field := range strings.FieldsSeq(info) {
		switch name, value, _ := strings.Cut(field, "="); name {
		case "id":
			found.id = value
		case "addr":
			found.address = value
		}
	}
	return found
}

var errLent = errors.New("redis: connection is not go-redis' any more")

// lentConn is a connection that go-redis uses until over, and never closes.
type lentConn struct {
	net.Conn

	over atomic.Bool
}

func (l *lentConn) Read(b []byte) (int, error) {
	if l.over.Load() {
		return 0, errLent
	}
	return l.Conn.Read(b)
}

func (l *lentConn) Write(b []byte) (int, error) {
	if l.over.Load() {
		return 0, errLent
	}
	return l.Conn.Write(b)
}

func (l *lentConn) Close() error { return nil }
