package backend

import goredis "github.com/redis/go-redis/v9"

// consumerName is the one name under which all processes of a group read. A process that takes a partition over claims
// what is pending under any name, so a name for each process would tell nothing and would be left behind by each crash; the
// lease tells which process reads.
const consumerName = "carillon"

// A lease is a hash: holder is "<fence>:<process>", until is when it lapses in Unix ms by the clock of Redis. The fence
// is never reset, so no two holders are equal. Scripts that act for a holder compare it first; whether the lease has
// lapsed does not matter as long as no other process has taken it.

// beatScript enters a process among those that consume a route, and returns how many there are and how many of them come
// before it. KEYS members; ARGV process, expiry.
var beatScript = goredis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 10)
local before = 0
local all = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, other in ipairs(all) do
	if other < ARGV[1] then before = before + 1 end
end
return {#all, before}
`)

// acquireScript takes a lease that is free, has lapsed, or is this process's own from a call whose reply got lost, and
// returns its fence, or 0. KEYS lease; ARGV process, expiry.
var acquireScript = goredis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease = redis.call('HMGET', KEYS[1], 'holder', 'until')
if lease[1] and lease[1] ~= '' and string.match(lease[1], ':(.*)') ~= ARGV[1] and tonumber(lease[2]) > now then
	return 0
end
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HSET', KEYS[1], 'holder', fence .. ':' .. ARGV[1], 'until', now + ARGV[2], 'read', '')
return fence
`)

// renewScript prolongs a lease, and returns 0 if it is another process's. KEYS lease; ARGV holder, expiry.
var renewScript = goredis.NewScript(`
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'until', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2])
return 1
`)

// releaseScript gives a lease up. KEYS lease; ARGV holder.
var releaseScript = goredis.NewScript(`
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'holder', '')
return 1
`)

// readScript reads new entries, until they are as many or as large as asked for. One by one, because only their length
// tells when to stop. It returns {0} to a process that has lost the lease, else {1, entries, last}: where nothing is new,
// last is the entry after which the next one will be.
//
// The lease remembers the last entry that was read under it, and the process says which one it has received last. If they
// differ, the reply of a read got lost, perhaps in a retry inside go-redis: {1, false, last read}. What it held is pending
// and comes before anything new. KEYS lease, stream; ARGV holder, group, consumer, count, bytes, last received.
var readScript = goredis.NewScript(`
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return {0} end
local read = redis.call('HGET', KEYS[1], 'read') or ''
if read ~= ARGV[6] then return {1, false, read} end
local entries, bytes = {}, 0
for i = 1, tonumber(ARGV[4]) do
	local reply = redis.call('XREADGROUP', 'GROUP', ARGV[2], ARGV[3], 'COUNT', 1, 'STREAMS', KEYS[2], '>')
	local entry = reply and reply[1] and reply[1][2][1]
	if not entry then break end
	entries[i] = entry
	for _, text in ipairs(entry[2]) do bytes = bytes + #text end
	if bytes >= tonumber(ARGV[5]) then break end
end
local last = false
if #entries > 0 then
	redis.call('HSET', KEYS[1], 'read', entries[#entries][1])
else
	local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
	last = newest[1] and newest[1][1] or '0-0'
end
return {1, entries, last}
`)

// claimScript makes pending entries this process's, sets how often they have been attempted, and returns them as far as
// they are not larger than asked for: {0}, or {1, entries}. One that is not in the stream any more is acknowledged, and
// false in the reply; one that is not pending any more is 0. KEYS lease, stream; ARGV holder, group, consumer, bytes, then id and attempts of each.
var claimScript = goredis.NewScript(`
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return {0} end
local entries, bytes = {}, 0
for i = 5, #ARGV, 2 do
	local claimed = redis.call('XCLAIM', KEYS[2], ARGV[2], ARGV[3], 0, ARGV[i], 'RETRYCOUNT', ARGV[i + 1])
	local entry = claimed[1] or false
	if not entry and redis.call('XACK', KEYS[2], ARGV[2], ARGV[i]) == 0 then entry = 0 end
	entries[#entries + 1] = entry
	if type(entry) == 'table' then
		for _, text in ipairs(entry[2]) do bytes = bytes + #text end
	end
	if bytes >= tonumber(ARGV[4]) then break end
end
return {1, entries}
`)

// commitScript acknowledges entries and enters in the outbox what has to be done for each: an answer, or a dead letter,
// to which it adds all fields of the entry. Only the first commit of an entry has an effect, so it may be repeated. It
// returns {0}, or {1, outbox ids}, with false where nothing was entered. KEYS lease, stream, outbox; ARGV holder, group,
// then for each entry: id, how many effects there are, and for each: how many texts follow, and these: fields and values.
var commitScript = goredis.NewScript(`
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return {0} end
local ids, i = {}, 3
local function enter(id, first, last)
	local effect = {}
	for j = first, last do effect[#effect + 1] = ARGV[j] end
	if effect[1] == 'dead.group' then
		local entry = redis.call('XRANGE', KEYS[2], id, id)[1]
		for _, text in ipairs(entry and entry[2] or {}) do effect[#effect + 1] = text end
	end
	return redis.call('XADD', KEYS[3], '*', unpack(effect))
end
while i <= #ARGV do
	local id, effects = ARGV[i], tonumber(ARGV[i + 1])
	local pending = redis.call('XACK', KEYS[2], ARGV[2], id) == 1
	i = i + 2
	for _ = 1, effects do
		local n = tonumber(ARGV[i])
		ids[#ids + 1] = pending and enter(id, i + 1, i + n)
		i = i + n + 1
	end
end
return {1, ids}
`)

// deadScript appends a dead letter, unless it was appended before: dead letters of a partition have growing numbers, the
// ids that they had in its outbox. KEYS dead, last; ARGV partition, outbox id, max, fields.
var deadScript = goredis.NewScript(`
local function parts(id)
	local ms, n = string.match(id, '(%d+)-(%d+)')
	return tonumber(ms), tonumber(n)
end
local last = redis.call('HGET', KEYS[2], ARGV[1])
if last then
	local lastMs, lastN = parts(last)
	local ms, n = parts(ARGV[2])
	if ms < lastMs or ms == lastMs and n <= lastN then return 0 end
end
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1
`)
