-- wrk script: posts a body file over and over and prints one JSON line of what came back.
-- usage: wrk … -s post.lua URL -- BODY_FILE [header=value …]
function init(args)
  local file = io.open(args[1], 'r')
  wrk.body = file:read('*a')
  file:close()
  wrk.method = 'POST'
  wrk.headers['content-type'] = 'application/json'
  for i = 2, #args do
    local name, value = args[i]:match('^([^=]+)=(.*)$')
    wrk.headers[name] = value
  end
end

function done(summary, latency, requests)
  io.write(string.format(
    '@@{"requests":%d,"durationUs":%d,"bytes":%d,"p50Ms":%.3f,"p95Ms":%.3f,"p99Ms":%.3f,' ..
      '"badStatus":%d,"badConnect":%d,"badRead":%d,"timeouts":%d}\n',
    summary.requests, summary.duration, summary.bytes,
    latency:percentile(50) / 1000, latency:percentile(95) / 1000, latency:percentile(99) / 1000,
    summary.errors.status, summary.errors.connect, summary.errors.read, summary.errors.timeout))
end
