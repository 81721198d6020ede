package streamsession

import goredis "github.com/redis/go-redis/v9"

// The scripts compare the beginning of what is stored, which says whose it is, or all of it. Each may be repeated: when an
// answer was lost, the same call finds what it did.
var (
	// write stores a session that the node has, or that is not stored: it may have been lost. ARGV: owner, text, milliseconds.
	// 0: another server has it. fresh, "1", is for a session that begins here.
	write = goredis.NewScript(`
local owner = redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1)
if owner ~= ARGV[1] and owner ~= '' then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)
	// renew keeps a session for longer that has not changed. ARGV: owner, milliseconds. 0: another server has it, -1: it is gone.
	renew = goredis.NewScript(`
local owner = redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1)
if owner == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return 1 end
if owner == '' then return -1 end
return 0`)
	// drop removes a session that the node has. ARGV: owner.
	drop = goredis.NewScript(`
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)
	// take changes the server of a session. ARGV: what was found, the new text, milliseconds. 0: it has changed.
	take = goredis.NewScript(`
local have = redis.call('GET', KEYS[1])
if have ~= ARGV[1] and have ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)
)
