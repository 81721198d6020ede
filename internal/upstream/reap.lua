-- Ends sockets of a node that was declared lost, in one partition. From the first call on the node can append nothing.
--
-- KEYS: the stream, the live set, the node's sessions.
-- ARGV: node, ts, reason, cursor, how many sessions to look at, seconds for which the mark stays.
--
-- A socket that another node has claimed since is that node's: only its record here goes.
--
-- Returns the cursor to go on from, "0" when no session is left, and the number of disconnected entries written.
local stream, live, mine = KEYS[1], KEYS[2], KEYS[3]

redis.call('HSET', mine, '!', 'lost')
local written = 0
local found = redis.call('HSCAN', mine, ARGV[4], 'COUNT', ARGV[5])
for i = 1, #found[2], 2 do
  local sid, record = found[2][i], found[2][i + 1]
  if sid ~= '!' and sid ~= '#' then
    local seq, holder = redis.call('HGET', live, sid), ARGV[1]
    if seq and not tonumber(seq) then
      seq, holder = string.match(seq, '^(%d+) %d+ (%S+)$')
    end
    if seq and record ~= '' and holder == ARGV[1] then
      local nsp, user = string.match(record, '^([^,]*),(.*)$')
      local fields = {'v', '1', 't', 'disconnected', 'nsp', nsp or record, 'sid', sid,
        'seq', string.format('%d', tonumber(seq) + 1), 'node', ARGV[1], 'ts', ARGV[2], 'reason', ARGV[3]}
      if user then
        fields[#fields + 1] = 'user'
        fields[#fields + 1] = user
      end
      redis.call('XADD', stream, '*', unpack(fields))
      written = written + 1
    end
    if holder == ARGV[1] then
      redis.call('HDEL', live, sid)
    end
    redis.call('HDEL', mine, sid)
  end
end
redis.call('EXPIRE', mine, ARGV[6])
return {found[1], written}
