-- Counts one heartbeat of a node.
--
-- KEYS: the heartbeats of all nodes, the mark that this node was declared lost.
-- ARGV: node, count.
--
-- Returns the heartbeats of all nodes, name after count; nothing where this node was declared lost.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return {}
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return redis.call('HGETALL', KEYS[1])
