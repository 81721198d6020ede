-- Declares a node lost, unless its heartbeat has gone on since.
--
-- KEYS: the heartbeats of all nodes, the mark that the node was declared lost.
-- ARGV: node, the count that was seen, seconds for which the mark stays.
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('SET', KEYS[2], 'lost', 'EX', ARGV[3])
return 1
