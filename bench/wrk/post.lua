-- wrk: POST one file over and over, and print one JSON line at the end. There is no request function on purpose: wrk
-- then builds the request once and calls no Lua while it measures.
-- BENCH_HEADER in the environment: one more header, "Name: value"
-- usage: wrk ... -s post.lua URL -- FILE
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
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"answers":%d,"refused":%d,"broken":%d,"timeouts":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, e.status, e.connect + e.read + e.write, e.timeout, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99)))
end
