-- Stores a batch of entries of one node in one partition, once.
--
-- KEYS: the stream, the live set, the node's sessions.
-- ARGV: node, number of the batch, length of the stream from which on events are refused, events among the entries; then for each entry its kind,
-- sid, seq, nsp, ts, record, the number of words that follow, and these: the rest of its fields.
--
-- The live set holds the last seq of a socket: "12". Once it has moved to another node, the number of the move and the node that has it
-- follow: "12 1 <node>". Entries of a socket that has moved, or was offered to another node, name the move that they are of: their seq is
-- "13 1". Those of an earlier move change nothing, whichever node they are of, and so do those of a socket that has ended.
--
-- Returns "lost" where the node was declared lost or has left, "full N" where only N more events fit and nothing was
-- stored, else "ok" and for each entry its id, or "-" where there is none. For a claim that counts it is the last seq, for a socket
-- to be forgotten "held" where no other node has claimed it.
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
local moves, holder -- of sockets that have moved; nil while there is none in the batch
local i = 5
while i <= #ARGV do
  local kind, sid, seq, record = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 5]
  local first, words = i + 7, tonumber(ARGV[i + 6])
  local place, move = tonumber(seq), nil
  if not place then
    moves, holder = moves or {}, holder or {}
    seq, move = string.match(seq, '^(%d+) (%d+)$')
    place, move = tonumber(seq), tonumber(move)
  end
  if last[sid] == nil then
    local value = redis.call('HGET', live, sid) or '0'
    last[sid] = tonumber(value)
    if not last[sid] then
      moves, holder = moves or {}, holder or {}
      local s, m, n = string.match(value, '^(%d+) (%d+) (%S+)$')
      last[sid], moves[sid], holder[sid] = tonumber(s), tonumber(m), n
    end
  end
  local id, current = '-', moves and moves[sid] or 0
  if moves and ((move or 0) < current or move and last[sid] == 0) then
    if holder[sid] ~= node then
      redis.call('HDEL', mine, sid)
    end
  elseif kind == 'claim' then
    if move > current then
      moves[sid], holder[sid] = move, node
      last[sid] = math.max(last[sid], place)
      id = string.format('%d', last[sid])
      redis.call('HSET', mine, sid, record)
      changed[sid] = id
    end
  elseif kind == 'forget' then
    id = 'held'
  elseif kind == 'over' then
    last[sid], changed[sid] = 0, nil
    if moves then
      moves[sid] = nil
    end
    redis.call('HDEL', live, sid)
    redis.call('HDEL', mine, sid)
  elseif place > last[sid] or move and kind == 'disconnected' then
    if place <= last[sid] then -- the end came with the claim, before its node knew of entries of the node before
      place = last[sid] + 1
      seq = string.format('%d', place)
    end
    id = redis.call('XADD', stream, '*', 'v', '1', 't', kind, 'nsp', ARGV[i + 3], 'sid', sid, 'seq', seq, 'node', node,
      'ts', ARGV[i + 4], unpack(ARGV, first, first + words - 1))
    if kind == 'disconnected' then
      last[sid], changed[sid] = 0, nil
      if moves then
        moves[sid] = nil
      end
      redis.call('HDEL', live, sid)
      redis.call('HDEL', mine, sid)
    else
      if last[sid] == 0 or (move or 0) > current then -- the latter where a failover of Redis has lost the claim
        redis.call('HSET', mine, sid, record)
      end
      if move and move > 0 then
        moves[sid], holder[sid] = move, node
      end
      last[sid], changed[sid] = place, seq
    end
  end
  ids[#ids + 1] = id
  i = first + words
end
for sid, seq in pairs(changed) do
  if moves and moves[sid] then
    seq = seq .. ' ' .. string.format('%d', moves[sid]) .. ' ' .. holder[sid]
  end
  redis.call('HSET', live, sid, seq)
end

local answer = table.concat(ids, ' ')
redis.call('HSET', mine, '#', ARGV[2] .. ' ' .. answer)
return answer
