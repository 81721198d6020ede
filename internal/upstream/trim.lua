-- Trims a stream below what every group has acknowledged, and reports how far each is behind.
--
-- KEYS: the stream. ARGV: the oldest id to keep for its age, whether to trim (1 or 0), most entries to remove; then the
-- names of groups whose entries are kept even before they exist.
--
-- Returns the number of entries removed, then for each group, listed or existing, its name and how many entries it has not
-- acknowledged.
local stream = KEYS[1]
local result, groups = {0}, {}

local function fields(list)
  local map = {}
  for i = 1, #list, 2 do
    map[list[i]] = list[i + 1]
  end
  return map
end

-- parts splits an id; each part fits a number exactly.
local function parts(id)
  local ms, n = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(n)
end

local function below(a, b)
  local am, an = parts(a)
  local bm, bn = parts(b)
  return am < bm or (am == bm and an < bn)
end

if redis.call('EXISTS', stream) == 0 then
  for i = 4, #ARGV do
    result[#result + 1] = ARGV[i]
    result[#result + 1] = 0
  end
  return result
end

local length = redis.call('XLEN', stream)
local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
newest = newest[1] and newest[1][1] or '0-0'

local keep, safe = ARGV[1], true
for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
  local group = fields(info)
  local name, read = group['name'], group['last-delivered-id']
  groups[name] = true
  local unread = group['lag']
  if type(unread) ~= 'number' then -- before Redis 7, or after deletions: at most this many
    unread = below(read, newest) and length - group['pending'] or 0
  end
  result[#result + 1] = name
  result[#result + 1] = unread + group['pending']
  local needed = read
  if group['pending'] > 0 then
    needed = redis.call('XPENDING', stream, name)[2]
  else
    local ms, n = string.match(read, '^(%d+)-(%d+)$')
    needed = ms .. '-' .. string.format('%d', tonumber(n) + 1)
  end
  if below(needed, keep) then
    keep = needed
  end
end
for i = 4, #ARGV do
  if not groups[ARGV[i]] then
    safe = false
    result[#result + 1] = ARGV[i]
    result[#result + 1] = length
  end
end
if safe and next(groups) and ARGV[2] == '1' then
  result[1] = redis.call('XTRIM', stream, 'MINID', '~', keep, 'LIMIT', ARGV[3])
  if result[1] < tonumber(ARGV[3]) / 2 then
    result[1] = result[1] + redis.call('XTRIM', stream, 'MINID', keep)
  end
end
return result
