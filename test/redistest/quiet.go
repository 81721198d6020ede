package redistest

import (
	"context"

	goredis "github.com/redis/go-redis/v9"
)

// Tests kill servers, and go-redis prints a line for every connection that this ends.
func init() { goredis.SetLogger(silence{}) }

type silence struct{}

// Printf implements the interface of go-redis' loggers.
func (silence) Printf(context.Context, string, ...any) {}
