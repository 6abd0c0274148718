-- wrk's part of bench.py: one POST over and over, and the result as a line of JSON.
-- Called as: wrk ... -s chat.lua URL -- KEY FILE; the file holds the body, which may be too long for an argument.

function init(arguments)
   wrk.method = "POST"
   wrk.headers["Authorization"] = "Bearer " .. arguments[1]
   wrk.headers["Content-Type"] = "application/json"
   local file = assert(io.open(arguments[2], "rb"))
   wrk.body = file:read("*a")
   file:close()
end

function done(summary, latency, requests)
   local e = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "microseconds": %d, "p50": %d, "failed": %d}\n',
      summary.requests, summary.duration, latency:percentile(50),
      e.connect + e.read + e.write + e.status + e.timeout))
end
