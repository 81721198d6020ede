package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// redisStore keeps keys in Redis, for all nodes. A value is the Redis server's time in milliseconds at the claim, a line
// end, and the text.
type redisStore struct {
	client goredis.UniversalClient
	prefix string // of the keys
}

var (
	// The claim's time is Redis' own: the clocks of nodes differ.
	claimScript = goredis.NewScript(`
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
local present = redis.call('GET', KEYS[1])
if present then return {present, ms} end
redis.call('SET', KEYS[1], string.format('%.0f', ms) .. '\n' .. ARGV[1], 'PX', ARGV[2])
return {}`)

	replaceScript = goredis.NewScript(`
local present = redis.call('GET', KEYS[1])
if not present then return 0 end
local at = string.find(present, '\n', 1, true)
if not at or string.sub(present, at + 1) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) return 1 end
redis.call('SET', KEYS[1], string.sub(present, 1, at) .. ARGV[2], 'KEEPTTL')
return 1`)
)

func (s *redisStore) claim(ctx context.Context, key, text string) (string, time.Duration, error) {
	found, err := claimScript.Run(ctx, s.client, []string{s.prefix + key}, text, keyTime.Milliseconds()).Slice()
	if err != nil || len(found) == 0 {
		return "", 0, err
	}
	value, _ := found[0].(string)
	now, _ := found[1].(int64)
	at, text, ok := strings.Cut(value, "\n")
	then, err := strconv.ParseInt(at, 10, 64)
	if err != nil || !ok {
		return "", 0, fmt.Errorf("%s%s holds something else", s.prefix, key)
	}
	return text, time.Duration(now-then) * time.Millisecond, nil
}

func (s *redisStore) replace(ctx context.Context, key, old, text string) (bool, error) {
	n, err := replaceScript.Run(ctx, s.client, []string{s.prefix + key}, old, text).Int()
	return n == 1, err
}
