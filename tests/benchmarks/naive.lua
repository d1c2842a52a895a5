-- Posts a sale by an account at random, as often as it can.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"

function init(args)
  math.randomseed(tonumber(args[2]) + tonumber(tostring({}):sub(-6), 16))
  accounts = tonumber(args[1])
end

function request()
  local id = string.format("%08x-%04x-4%03x-8%03x-%012x", math.random(0, 0xffffffff), math.random(0, 0xffff),
    math.random(0, 0xfff), math.random(0, 0xfff), math.random(0, 0xffffffffffff))
  return wrk.format(nil, "/sales", nil,
    string.format('{"id": "%s", "account": %d, "amount_minor": 240}', id, math.random(1, accounts)))
end

function done(summary)
  io.write(string.format('{"answers": %d, "refused": %d, "microseconds": %d}\n',
    summary.requests, summary.errors.status, summary.duration))
end
