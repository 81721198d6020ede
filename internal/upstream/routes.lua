-- Says how many partitions routes have. A number is only ever raised: consumers would stop reading a partition that still
-- holds entries.
--
-- KEYS: the hash of routes. ARGV: name after number.
for i = 1, #ARGV, 2 do
  local have = tonumber(redis.call('HGET', KEYS[1], ARGV[i]) or '0')
  if tonumber(ARGV[i + 1]) > have then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1])
  end
end
return redis.call('HGETALL', KEYS[1])
