-- wrk's part of bench.py: one POST over and over, and the result as a line of JSON.
-- Called as: wrk ... -s chat.lua URL -- KEY BODY

function init(arguments)
   wrk.method = "POST"
   wrk.headers["Authorization"] = "Bearer " .. arguments[1]
   wrk.headers["Content-Type"] = "application/json"
   wrk.body = arguments[2]
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "microseconds": %d, "p50": %d, "failed": %d}\n',
      summary.requests, summary.duration, latency:percentile(50),
      e.connect + e.read + e.write + e.status + e.timeout))
end
