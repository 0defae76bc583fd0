-- KEYS[1] the queue's prefix. ARGV: job (JSON), id, kind, priority, due, unique slot or '',
-- unique until or '', max_waiting, schedule or '', fire time or '', for how many ms the id is
-- remembered (0: as long as the job is there)
-- Gives {'new'}, {'full'}, {'duplicate', id} or {'before'}.
local q = KEYS[1]
local job, id, kind, priority, due = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local slot, hold, most, schedule, fire = ARGV[6], ARGV[7], tonumber(ARGV[8]), ARGV[9], ARGV[10]
local remember = tonumber(ARGV[11])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if schedule ~= '' then
  local last = redis.call('ZREVRANGE', q .. ':cron:' .. schedule, 0, 0, 'WITHSCORES')
  if last[2] and tonumber(fire) <= tonumber(last[2]) then return {'before'} end
end
if redis.call('EXISTS', q .. ':job:' .. id, q .. ':seen:' .. id) ~= 0 then return {'duplicate', id} end
local fired = function(what)
  if schedule == '' then return end
  redis.call('ZADD', q .. ':cron:' .. schedule, fire, fire .. ' ' .. what)
  redis.call('ZREMRANGEBYRANK', q .. ':cron:' .. schedule, 0, -101)
end
if slot ~= '' then
  local holder = redis.call('GET', q .. ':unique:' .. slot)
  if holder then
    fired('overlaps')
    return {'duplicate', holder}
  end
end
if most <= redis.call('ZCARD', q .. ':waiting') then return {'full'} end
if slot ~= '' then
  redis.call('SET', q .. ':unique:' .. slot, id)
end
redis.call('HSET', q .. ':job:' .. id, 'job', job, 'kind', kind, 'priority', priority,
  'state', 'waiting', 'attempts', 0, 'at', due, 'slot', slot, 'hold', hold)
redis.call('ZADD', q .. ':waiting', due, id)
if due <= now then
  redis.call('ZADD', q .. ':ready:' .. kind, (9 - priority) * 1e13 + due, id)
else
  redis.call('ZADD', q .. ':later', due, id)
end
fired(id)
if 0 < remember then redis.call('SET', q .. ':seen:' .. id, 1, 'PX', remember) end
redis.call('PUBLISH', q .. ':wake', kind)
return {'new'}
