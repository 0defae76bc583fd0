-- KEYS[1] the queue's prefix. ARGV: token, lease in ms, how many, kinds…
-- Gives {buried, next due or -1, id, job, attempts, id, job, attempts, …}.
local q, token, lease, most = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- So many jobs are moved along in one call: the server does nothing else meanwhile.
local STEP = 200

local ready = function(id, due)
  local job = redis.call('HMGET', q .. ':job:' .. id, 'kind', 'priority')
  if job[1] then
    redis.call('ZADD', q .. ':ready:' .. job[1], (9 - job[2]) * 1e13 + due, id)
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', q .. ':later', '-inf', now, 'LIMIT', 0, STEP)) do
  local due = redis.call('ZSCORE', q .. ':later', id)
  redis.call('ZREM', q .. ':later', id)
  ready(id, due)
end

local buried = 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', q .. ':leased', '-inf', now, 'LIMIT', 0, STEP)) do
  redis.call('ZREM', q .. ':leased', id)
  local key = q .. ':job:' .. id
  local job = redis.call('HMGET', key, 'attempts', 'job', 'slot')
  if job[2] then
    redis.call('HDEL', key, 'token')
    if cjson.decode(job[2]).max_attempts <= tonumber(job[1]) then
      redis.call('HSET', key, 'state', 'dead', 'at', now, 'error', 'the worker died')
      redis.call('ZADD', q .. ':dead', now, id)
      if job[3] ~= '' then redis.call('DEL', q .. ':unique:' .. job[3]) end
      buried = buried + 1
    else
      redis.call('HSET', key, 'state', 'waiting', 'at', now)
      redis.call('ZADD', q .. ':waiting', now, id)
      ready(id, now)
    end
  end
end

local answer = {buried, -1}
for _ = 1, most do
  local best, score, from
  for i = 4, #ARGV do
    local first = redis.call('ZRANGE', q .. ':ready:' .. ARGV[i], 0, 0, 'WITHSCORES')
    if first[1] and (not score or tonumber(first[2]) < score) then
      best, score, from = first[1], tonumber(first[2]), ARGV[i]
    end
  end
  if not best then break end
  redis.call('ZREM', q .. ':ready:' .. from, best)
  redis.call('ZREM', q .. ':waiting', best)
  local key = q .. ':job:' .. best
  local job = redis.call('HGET', key, 'job')
  if job then
    local attempts = redis.call('HINCRBY', key, 'attempts', 1)
    redis.call('HSET', key, 'state', 'leased', 'token', token, 'at', now + lease)
    redis.call('ZADD', q .. ':leased', now + lease, best)
    table.insert(answer, best)
    table.insert(answer, job)
    table.insert(answer, attempts)
  end
end

-- When to look again: the next that comes due, or whose lease is over.
local wait = nil
for _, set in ipairs({':later', ':leased'}) do
  local first = redis.call('ZRANGE', q .. set, 0, 0, 'WITHSCORES')
  if first[2] and (not wait or tonumber(first[2]) < wait) then wait = tonumber(first[2]) end
end
if wait then answer[2] = math.max(0, wait - now) end
return answer
