-- Stores a batch of entries of one node in one partition, once.
--
-- KEYS: the stream, the live set, the node's sessions.
-- ARGV: node, number of the batch, length of the stream from which on events are refused, events among the entries; then for each entry its kind,
-- sid, seq, nsp, ts, record, the number of words that follow, and these: the rest of its fields.
--
-- Returns "lost" where the node was declared lost or has left, "full N" where only N more events fit and nothing was
-- stored, else "ok" and for each entry its id, or "-" where there is none.
local stream, live, mine = KEYS[1], KEYS[2], KEYS[3]
local node, number = ARGV[1], tonumber(ARGV[2])

local known = redis.call('HMGET', mine, '!', '#')
if known[1] then
  return 'lost'
end
if known[2] then
  local last, answer = string.match(known[2], '^(%d+) (.*)$')
  if number == tonumber(last) then
    return answer
  elseif number < tonumber(last) then
    return 'old'
  end
end

local room = tonumber(ARGV[3]) - redis.call('XLEN', stream)
if tonumber(ARGV[4]) > math.max(room, 0) then
  return 'full ' .. string.format('%d', math.max(room, 0))
end

local last, changed, ids = {}, {}, {'ok'}
local i = 5
while i <= #ARGV do
  local kind, sid, seq, record = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 5]
  local first, words = i + 7, tonumber(ARGV[i + 6])
  if last[sid] == nil then
    last[sid] = redis.call('HGET', live, sid) or ''
  end
  local id = '-'
  if kind == 'over' then
    last[sid] = ''
    changed[sid] = nil
    redis.call('HDEL', live, sid)
    redis.call('HDEL', mine, sid)
  elseif last[sid] == '' or tonumber(seq) > tonumber(last[sid]) then
    id = redis.call('XADD', stream, '*', 'v', '1', 't', kind, 'nsp', ARGV[i + 3], 'sid', sid, 'seq', seq, 'node', node,
      'ts', ARGV[i + 4], unpack(ARGV, first, first + words - 1))
    if kind == 'disconnected' then
      last[sid] = ''
      changed[sid] = nil
      redis.call('HDEL', live, sid)
      redis.call('HDEL', mine, sid)
    else
      if last[sid] == '' then
        redis.call('HSET', mine, sid, record)
      end
      last[sid] = seq
      changed[sid] = true
    end
  end
  ids[#ids + 1] = id
  i = first + words
end
for sid in pairs(changed) do
  redis.call('HSET', live, sid, last[sid])
end

local answer = table.concat(ids, ' ')
redis.call('HSET', mine, '#', ARGV[2] .. ' ' .. answer)
return answer
