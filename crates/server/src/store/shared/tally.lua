-- Counts together what nodes have counted each for itself; one round trip, and nobody comes between.
-- KEYS: counters, then the epoch. ARGV: node, window (ms), how many to add, 1 to write, then for each counter the most
-- that it may reach and what this node has counted ("AGE:COUNT AGE:COUNT", ages in ms).
-- A counter is a hash: node -> "TIME:COUNT TIME:COUNT". Whoever writes gives all that it has counted, so that what is
-- lost here comes back. Answer: 1 if everything fits, the epoch, the sums of the counters.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local node, window, by, write = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1'
local counters, fits, sums, own = #KEYS - 1, 1, {}, {}

for at = 1, counters do
  local most, sum, told = tonumber(ARGV[3 + 2 * at]), 0, ''
  for age, count in string.gmatch(ARGV[4 + 2 * at], '(%d+):(%d+)') do
    told = told .. string.format('%d:%d ', now - age, count)
    sum = sum + count
  end
  local all = redis.call('HGETALL', KEYS[at])
  for field = 1, #all, 2 do
    if all[field] ~= node then
      local alive = 0
      for when, count in string.gmatch(all[field + 1], '(%d+):(%d+)') do
        if tonumber(when) > now - window then alive = alive + count end
      end
      if write and alive == 0 then redis.call('HDEL', KEYS[at], all[field]) end
      sum = sum + alive
    end
  end
  if sum + by > most then fits = 0 end
  sums[at], own[at] = sum, told
end

for at = 1, write and counters or 0 do
  local told = own[at]
  if by > 0 and fits == 1 then told = told .. string.format('%d:%d ', now, by) end
  if told == '' then
    redis.call('HDEL', KEYS[at], node)
  else
    redis.call('HSET', KEYS[at], node, told)
    redis.call('PEXPIRE', KEYS[at], window)
  end
end

local epoch = redis.call('GET', KEYS[#KEYS])
if not epoch then
  -- Everything was lost: whoever hears of another epoch says again what it has counted.
  epoch = string.format('%s.%d', node, now)
  redis.call('SET', KEYS[#KEYS], epoch)
end
return {fits, epoch, unpack(sums)}
