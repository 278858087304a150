-- wrk: POST one file over and over, and print one JSON line at the end. There is no request function on purpose: wrk
-- then builds the request once and calls no Lua while it measures.
-- BENCH_HEADER in the environment: one more header, "Name: value"
-- BENCH_HEADERS: a file of such lines, a line for each request, in turn: then there is one
-- usage: wrk ... -s post.lua URL -- FILE
local threads = 0

function setup(thread)
  thread:set('first', threads)
  threads = threads + 1
  thread:set('step', 2) -- of at most two threads
end

local function one_header_each(path)
  local requests = {}
  for line in io.lines(path) do
    local name, value = line:match('^(%S+): (.+)$')
    requests[#requests + 1] = wrk.format(nil, nil, {[name] = value, ['Content-Type'] = 'application/json', Host = 'bench'})
  end
  local next = first
  function request()
    next = next + step
    return requests[next % #requests + 1]
  end
end

function init(args)
  local file = assert(io.open(args[1], 'rb'))
  wrk.method = 'POST'
  wrk.body = file:read('*a')
  wrk.headers['Content-Type'] = 'application/json'
  local name, value = (os.getenv('BENCH_HEADER') or ''):match('^(%S+): (.+)$')
  if name then
    wrk.headers[name] = value
  end
  file:close()
  if os.getenv('BENCH_HEADERS') then
    one_header_each(os.getenv('BENCH_HEADERS'))
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"answers":%d,"refused":%d,"broken":%d,"timeouts":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, e.status, e.connect + e.read + e.write, e.timeout, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99)))
end
