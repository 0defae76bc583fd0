-- What people do to a job. KEYS[1] the queue's prefix. ARGV: id, 'retry' or 'remove'.
-- Gives 'done', 'none' or 'occupied'.
local q, id, move = KEYS[1], ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key = q .. ':job:' .. id
local job = redis.call('HMGET', key, 'state', 'kind', 'priority', 'slot')
if not job[1] or job[1] == 'leased' then return 'none' end
if move == 'remove' then
  redis.call('DEL', key)
  redis.call('ZREM', q .. ':waiting', id)
  redis.call('ZREM', q .. ':later', id)
  redis.call('ZREM', q .. ':dead', id)
  redis.call('ZREM', q .. ':ready:' .. job[2], id)
  if job[1] == 'waiting' and job[4] ~= '' then redis.call('DEL', q .. ':unique:' .. job[4]) end
  return 'done'
end
if job[1] ~= 'dead' then return 'none' end
if job[4] ~= '' then
  if not redis.call('SET', q .. ':unique:' .. job[4], id, 'NX') then return 'occupied' end
end
redis.call('ZREM', q .. ':dead', id)
redis.call('HSET', key, 'state', 'waiting', 'attempts', 0, 'at', now)
redis.call('ZADD', q .. ':waiting', now, id)
redis.call('ZADD', q .. ':ready:' .. job[2], (9 - job[3]) * 1e13 + now, id)
redis.call('PUBLISH', q .. ':wake', job[2])
return 'done'
