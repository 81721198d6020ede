-- Takes or renews the lease of a partition, and reads entries under it. All of it is one script, so that a process that was
-- frozen past its lease cannot read over its successor. The form is pkg/backend's: consumers in any language share a group.
-- KEYS lease, stream; ARGV process, holder ("" at first), milliseconds, group.
-- Returns nothing while another process has the lease, else the holder, the entries, pending ones first, and the newest id.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lease, holder = redis.call('HMGET', KEYS[1], 'holder', 'until'), ARGV[2]
if holder == '' or lease[1] ~= holder then
	if lease[1] and lease[1] ~= '' and tonumber(lease[2]) > now then return false end
	holder = redis.call('HINCRBY', KEYS[1], 'fence', 1) .. ':' .. ARGV[1]
end
redis.call('HSET', KEYS[1], 'holder', holder, 'until', now + ARGV[3])
for _, from in ipairs({'0', '>'}) do
	local reply = redis.call('XREADGROUP', 'GROUP', ARGV[4], 'carillon', 'COUNT', 10, 'STREAMS', KEYS[2], from)
	if reply and reply[1] and #reply[1][2] > 0 then return {holder, reply[1][2], ''} end
end
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
return {holder, {}, newest[1] and newest[1][1] or '0-0'}
