-- A move of a leased job. KEYS[1] the queue's prefix. ARGV: id, token, the move
-- ('beat', 'complete', 'back', 'again', 'dead'), a span in ms, the error.
-- Gives 1, or 0 when the lease is not this worker's any more.
local q, id, token, move, span = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key = q .. ':job:' .. id
local job = redis.call('HMGET', key, 'token', 'kind', 'priority', 'slot', 'hold')
if job[1] ~= token then return 0 end
if move == 'beat' then
  redis.call('HSET', key, 'at', now + span)
  redis.call('ZADD', q .. ':leased', now + span, id)
  return 1
end
redis.call('ZREM', q .. ':leased', id)
redis.call('HDEL', key, 'token')
local slot = job[4]
if move == 'complete' then
  redis.call('DEL', key)
  if slot ~= '' then
    local left = (tonumber(job[5]) or 0) - now
    if 0 < left then
      redis.call('PEXPIRE', q .. ':unique:' .. slot, left)
    else
      redis.call('DEL', q .. ':unique:' .. slot)
    end
  end
elseif move == 'dead' then
  redis.call('HSET', key, 'state', 'dead', 'at', now, 'error', ARGV[5])
  redis.call('ZADD', q .. ':dead', now, id)
  if slot ~= '' then redis.call('DEL', q .. ':unique:' .. slot) end
else
  local due = now + span
  if move == 'back' then redis.call('HINCRBY', key, 'attempts', -1) end
  if move == 'again' then redis.call('HSET', key, 'error', ARGV[5]) end
  redis.call('HSET', key, 'state', 'waiting', 'at', due)
  redis.call('ZADD', q .. ':waiting', due, id)
  if span <= 0 then
    redis.call('ZADD', q .. ':ready:' .. job[2], (9 - job[3]) * 1e13 + due, id)
  else
    redis.call('ZADD', q .. ':later', due, id)
  end
  redis.call('PUBLISH', q .. ':wake', job[2])
end
return 1
