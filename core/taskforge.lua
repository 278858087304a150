#!lua name=taskforge

-- What must be atomic in Redis. A queue is one stream per level (p0 to p10) with the consumer group "workers".
-- KEYS[1] is always the queue's base key, e.g. tf:{default}; everything else lives in the same hash slot.
-- PostgreSQL is the truth: losing all of this loses no job.

local VERSION = 8
local GROUP = 'workers'
local LEVELS = 10
local NEVER = '18446744073709551615-18446744073709551615'
local FAIR_EVERY = 16 -- every 16th claim starts with the level whose first entry is oldest

local function call(...)
  return redis.call(...)
end

local function level_key(base, level)
  return base .. ':p' .. level
end

-- Reads up to n new entries of one level for a consumer; creates the group where it is missing.
local function read_level(base, level, n, consumer)
  local key = level_key(base, level)
  local got = redis.pcall('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', n, 'STREAMS', key, '>')
  if type(got) == 'table' and got.err then
    if not string.find(got.err, 'NOGROUP', 1, true) then
      error(got)
    end
    if call('EXISTS', key) == 0 then
      return nil
    end
    call('XGROUP', 'CREATE', key, GROUP, '0')
    got = call('XREADGROUP', 'GROUP', GROUP, consumer, 'COUNT', n, 'STREAMS', key, '>')
  end
  return got and got[1] and got[1][2] or nil
end

-- The levels that hold entries, delivered or not, highest first. One XREAD tells of all of them.
local function used_levels(base, lowest)
  local command, levels = { 'COUNT', 1, 'STREAMS' }, {}
  for level = LEVELS, lowest, -1 do
    command[#command + 1] = level_key(base, level)
  end
  for _ = lowest, LEVELS do
    command[#command + 1] = '0-0'
  end
  for _, stream in ipairs(call('XREAD', unpack(command)) or {}) do
    levels[#levels + 1] = tonumber(string.match(stream[1], '%d+$'))
  end
  return levels
end

-- The id of a stream's newest entry: what is read from there on is new.
local function last_id(key)
  local entry = call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  return entry and entry[1] or '0-0'
end

-- last-delivered-id of the group, last-generated-id of the stream; nil where there is no stream or no group
local function marks(key)
  if call('EXISTS', key) == 0 then
    return nil, nil
  end
  local info, last = call('XINFO', 'STREAM', key), nil
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      last = info[i + 1]
    end
  end
  local groups = call('XINFO', 'GROUPS', key)
  for _, g in ipairs(groups) do
    local name, delivered
    for i = 1, #g, 2 do
      if g[i] == 'name' then
        name = g[i + 1]
      elseif g[i] == 'last-delivered-id' then
        delivered = g[i + 1]
      end
    end
    if name == GROUP then
      return delivered, last
    end
  end
  return '0-0', last
end

-- The level, from the lowest that counts, whose first waiting entry is oldest, or nil.
local function oldest_level(base, lowest)
  local best, best_ms
  for level = lowest, LEVELS do
    local key = level_key(base, level)
    local delivered = marks(key)
    if delivered then
      local first = call('XRANGE', key, '(' .. delivered, '+', 'COUNT', 1)[1]
      if first then
        local ms = tonumber(string.match(first[1], '^(%d+)'))
        if not best_ms or ms < best_ms then
          best, best_ms = level, ms
        end
      end
    end
  end
  return best
end

-- FCALL tf_claim 1 base n consumer [lowest level] -> { {level, entry id, job id, level, entry id, job id, ...}, watch }
-- Jobs to run, highest level first. Fewer than n: nothing more waits, and watch is {id of p0, ..., of p10, of ctl}, on which
-- to block with XREAD; else it is empty.
local function tf_claim(keys, args)
  local base, n, consumer, lowest = keys[1], tonumber(args[1]), args[2], tonumber(args[3] or 0)
  local paused = call('EXISTS', base .. ':paused') == 1
  local levels = paused and {} or used_levels(base, lowest)
  local out, have, watch = {}, 0, {}

  local function take(level, most)
    local entries = read_level(base, level, most, consumer)
    if entries then
      for _, e in ipairs(entries) do
        out[#out + 1] = level
        out[#out + 1] = e[1]
        out[#out + 1] = e[2][2]
        have = have + 1
      end
    end
  end

  if #levels > 1 and call('INCR', base .. ':turn') % FAIR_EVERY == 0 then
    local level = oldest_level(base, lowest)
    if level then
      take(level, math.max(1, math.floor(n / 4)))
    end
  end
  for _, level in ipairs(levels) do
    if have >= n then
      break
    end
    take(level, n - have)
  end

  if have < n then
    -- a paused queue is woken by its control stream alone
    for level = 0, LEVELS do
      watch[level + 1] = (paused or level < lowest) and NEVER or '0-0'
    end
    for _, level in ipairs(levels) do
      watch[level + 1] = last_id(level_key(base, level))
    end
    watch[#watch + 1] = last_id(base .. ':ctl')
  end
  return { out, watch }
end

-- FCALL tf_pause 1 base paused version -> 1 when that changed something, else 0
-- Whether the queue is paused ('1' or '0'), as a version of its row in PostgreSQL says. Messages may come in any order: of
-- two the newer version counts. Wakes the queue's workers.
local function tf_pause(keys, args)
  local base, paused, version = keys[1], args[1] == '1', tonumber(args[2])
  if version < tonumber(call('GET', base .. ':version') or '0') then
    return 0
  end
  call('SET', base .. ':version', args[2])
  if paused == (call('EXISTS', base .. ':paused') == 1) then
    return 0
  end
  if paused then
    call('SET', base .. ':paused', '1')
  else
    call('DEL', base .. ':paused')
  end
  call('XADD', base .. ':ctl', 'MAXLEN', '~', 100, '*', 'e', paused and 'pause' or 'resume')
  return 1
end

-- FCALL tf_done 1 base level entry level entry ...  -> number of entries removed
local function tf_done(keys, args)
  local base, by_level, removed = keys[1], {}, 0
  for i = 1, #args, 2 do
    local list = by_level[args[i]]
    if not list then
      list = {}
      by_level[args[i]] = list
    end
    list[#list + 1] = args[i + 1]
  end
  for level, ids in pairs(by_level) do
    local key = level_key(base, level)
    for first = 1, #ids, 1000 do
      local last = math.min(first + 999, #ids)
      call('XACK', key, GROUP, unpack(ids, first, last))
      removed = removed + call('XDEL', key, unpack(ids, first, last))
    end
  end
  return removed
end

-- FCALL tf_state 1 base
-- -> { {level, watermark ms, job id, job id, ...}, ... } for every level that exists
-- Every entry added before the watermark was delivered; the job ids are those delivered and not done.
-- Watermark -1: nothing waits undelivered, so the watermark is now.
local function tf_state(keys)
  local base, out = keys[1], {}
  for level = 0, LEVELS do
    local key = level_key(base, level)
    local delivered, last = marks(key)
    if delivered then
      local row = { level, -1 }
      if delivered ~= last and #call('XRANGE', key, '(' .. delivered, '+', 'COUNT', 1) > 0 then
        row[2] = tonumber(string.match(delivered, '^(%d+)'))
      end
      local start = '-'
      while delivered ~= '0-0' do
        local pending = redis.pcall('XPENDING', key, GROUP, start, '+', 1000)
        if pending.err or #pending == 0 then
          break
        end
        for _, p in ipairs(pending) do
          local e = call('XRANGE', key, p[1], p[1])[1]
          if e then
            row[#row + 1] = e[2][2]
          end
        end
        start = '(' .. pending[#pending][1]
      end
      out[#out + 1] = row
    end
  end
  return out
end

-- FCALL tf_consumers 1 base -> the names of all consumers, each once
local function tf_consumers(keys)
  local seen, out = {}, {}
  for level = 0, LEVELS do
    local list = redis.pcall('XINFO', 'CONSUMERS', level_key(keys[1], level), GROUP)
    if not list.err then
      for _, c in ipairs(list) do
        local name = c[2]
        if not seen[name] then
          seen[name] = true
          out[#out + 1] = name
        end
      end
    end
  end
  return out
end

-- FCALL tf_forget 1 base consumer -> how many entries a dead consumer still held; they are removed.
-- The reaper or reconcile adds their jobs again from PostgreSQL.
local function tf_forget(keys, args)
  local base, consumer, removed = keys[1], args[1], 0
  for level = 0, LEVELS do
    local key = level_key(base, level)
    while true do
      local pending = redis.pcall('XPENDING', key, GROUP, '-', '+', 1000, consumer)
      if pending.err or #pending == 0 then
        break
      end
      local ids = {}
      for _, p in ipairs(pending) do
        ids[#ids + 1] = p[1]
      end
      call('XACK', key, GROUP, unpack(ids))
      removed = removed + call('XDEL', key, unpack(ids))
    end
    redis.pcall('XGROUP', 'DELCONSUMER', key, GROUP, consumer)
  end
  return removed
end

-- FCALL tf_forget_queue 1 base unused_ms -> 1 when nothing is left of the queue, 0 when it is in use and all of it stays
-- For queues that have neither jobs nor settings in PostgreSQL: an entry that has waited for unused_ms then belongs to no job.
-- In use: something is pending, an entry has come since, or somebody has decided something about the queue since. Whoever
-- reads it, waits for its entries or adds one finds what a new queue is: no stream, no group.
local function tf_forget_queue(keys, args)
  local base, time, all = keys[1], call('TIME'), {}
  local since = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - tonumber(args[1])
  if tonumber(call('GET', base .. ':version') or '0') / 1000 > since then
    return 0
  end
  for level = 0, LEVELS do
    local key = level_key(base, level)
    local pending = redis.pcall('XPENDING', key, GROUP)
    if not pending.err and pending[1] > 0 or tonumber(string.match(last_id(key), '^%d+')) > since then
      return 0
    end
    all[#all + 1] = key
  end
  for _, name in ipairs({ 'ctl', 'turn', 'paused', 'version' }) do
    all[#all + 1] = base .. ':' .. name
  end
  call('UNLINK', unpack(all))
  return 1
end

-- A sliding window that all hosts share: docs/limits.md. The key is a text: 6 bytes total, then for each segment 6 bytes
-- `until` (ms, ascending) and 4 bytes count: so many permits are counted until then. `until` is rounded up to 1/96 of the
-- window, so there are about 100 segments, and a permit is counted a little too long, never too short.
local LIMIT_STEPS = 96
local LIMIT_SEGMENTS = 128
local LIMIT_RECORD = 10

-- Takes back `unused` permits from the segment that ends at `moment`, if that still stands by itself.
local function limit_give_back(data, moment, unused)
  for at = #data - LIMIT_RECORD + 1, 7, -LIMIT_RECORD do
    local until_ms, count = struct.unpack('>I6I4', data, at)
    if until_ms == moment then
      unused = math.min(unused, count)
      return string.sub(data, 1, at - 1) .. struct.pack('>I6I4', until_ms, count - unused) .. string.sub(data, at + LIMIT_RECORD),
        unused
    elseif until_ms < moment then
      break
    end
  end
  return data, 0
end

-- FCALL tf_limit 1 key quota window_ms lease_ms need want moment unused -> { granted, free, moment, next_ms, counted }
-- Reserves permits that may be used for lease_ms from when the caller sent this; each is counted until the lease's end plus
-- the window. Callers that wait make up `need`; up to `want` are granted while there are plenty. First gives back `unused`
-- permits of an earlier answer (its moment). next_ms: until permits come back (granted 0: until one is free).
local function tf_limit(keys, args)
  local key, quota, window, lease = keys[1], tonumber(args[1]), tonumber(args[2]), tonumber(args[3] or 0)
  local need, want, moment, unused = tonumber(args[4]), tonumber(args[5]), tonumber(args[6]), tonumber(args[7])
  local time = call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local data = call('GET', key) or ''
  local total, first = 0, 7
  if data == '' then
    data = struct.pack('>I6', 0)
  else
    total = struct.unpack('>I6', data)
  end
  while first < #data do
    local until_ms, count = struct.unpack('>I6I4', data, first)
    if until_ms > now then
      break
    end
    total = total - count
    first = first + LIMIT_RECORD
  end
  data = string.sub(data, 1, 6) .. string.sub(data, first)
  if unused > 0 then
    local given
    data, given = limit_give_back(data, moment, unused)
    total = total - given
  end

  local free, granted, ends = math.max(0, quota - total), 0, 0
  if need > 0 then
    granted = math.min(want, math.max(math.min(need, free), math.floor(free / 8)))
  end
  if granted > 0 then
    local step = math.ceil(window / LIMIT_STEPS)
    ends = math.ceil((now + 1 + lease + window) / step) * step -- the clock was cut to milliseconds
    local last, count, at = 0, 0, #data - LIMIT_RECORD + 1
    if at >= 7 then
      last, count = struct.unpack('>I6I4', data, at)
    end
    if last >= ends then
      ends = last
      data = string.sub(data, 1, at - 1) .. struct.pack('>I6I4', last, count + granted)
    else
      if #data >= 6 + LIMIT_SEGMENTS * LIMIT_RECORD then -- the window was made longer: the oldest two become one
        local _, one = struct.unpack('>I6I4', data, 7)
        local later, two = struct.unpack('>I6I4', data, 7 + LIMIT_RECORD)
        data = string.sub(data, 1, 6) .. struct.pack('>I6I4', later, one + two) .. string.sub(data, 7 + 2 * LIMIT_RECORD)
      end
      data = data .. struct.pack('>I6I4', ends, granted)
    end
    total = total + granted
  end

  local next_ms, counted = 0, total
  for at = 7, #data, LIMIT_RECORD do
    local until_ms, count = struct.unpack('>I6I4', data, at)
    counted = counted - count
    if count > 0 and counted < quota then
      next_ms = until_ms - now
      break
    end
  end
  if #data > 6 then
    local last = struct.unpack('>I6', data, #data - LIMIT_RECORD + 1)
    call('SET', key, struct.pack('>I6', total) .. string.sub(data, 7), 'PX', math.max(1, last - now))
  else
    call('DEL', key)
  end
  return { granted, math.max(0, quota - total), ends, next_ms, total }
end

-- What takes jobs off must work when the memory is full: nothing else empties it.
local function register(name, callback, flag)
  redis.register_function{ function_name = name, callback = callback, flags = { flag } }
end

register('tf_claim', tf_claim, 'allow-oom')
register('tf_pause', tf_pause, 'allow-oom')
register('tf_done', tf_done, 'allow-oom')
register('tf_state', tf_state, 'no-writes')
register('tf_consumers', tf_consumers, 'no-writes')
register('tf_forget', tf_forget, 'allow-oom')
register('tf_forget_queue', tf_forget_queue, 'allow-oom')
redis.register_function('tf_limit', tf_limit)
register('tf_version', function() return VERSION end, 'no-writes')
