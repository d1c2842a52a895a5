-- Sends requests that were signed beforehand, each once, and none after the slice's end: what was sent is
-- answered before this ends, so that the answers can be counted against the ledger.
--
-- Arguments: folder of the files (one a thread), connections a thread, seconds, requests a second of one
-- thread (0: as many as it can).

local ffi = require("ffi")
ffi.cdef[[
  typedef struct { long seconds; long nanoseconds; } moment_t;
  int clock_gettime(int clock, moment_t *moment);
]]

local NEVER = 3600000 -- milliseconds: longer than any slice
local moment = ffi.new("moment_t")

local function now()
  ffi.C.clock_gettime(1, moment) -- CLOCK_MONOTONIC
  return tonumber(moment.seconds) + tonumber(moment.nanoseconds) / 1e9
end

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local waiting = {}
local position = 0
local connections, seconds, interval, next_slot
begun, ended, ran_out = 0, 0, 0

function init(args)
  local file = assert(io.open(args[1] .. "/" .. number, "rb"))
  local length = file:read("*n")
  while length do
    file:read(1)
    table.insert(waiting, file:read(length))
    length = file:read("*n")
  end
  file:close()
  connections, seconds = tonumber(args[2]), tonumber(args[3])
  interval = tonumber(args[4]) > 0 and 1 / tonumber(args[4]) or 0
end

-- Called before each request of a connection, when the one before has been answered.
function delay()
  local present = now()
  if begun == 0 then
    begun, next_slot = present, present
  end
  ended = present
  if position + connections >= #waiting then
    ran_out = 1
    return NEVER
  end
  if present >= begun + seconds then
    return NEVER
  end
  if interval == 0 then
    return 0
  end
  local slot = math.max(next_slot, present)
  next_slot = slot + interval
  return math.floor((slot - present) * 1000 + 0.5)
end

function request()
  position = position + 1
  return waiting[position]
end

function done(summary, latency, requests)
  local first, last, short = math.huge, 0, 0
  for _, thread in ipairs(threads) do
    first = math.min(first, thread:get("begun"))
    last = math.max(last, thread:get("ended"))
    short = short + thread:get("ran_out")
  end
  local errors = summary.errors
  print(string.format(
    '{"answers": %d, "refused": %d, "lost": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "ran_out": %d}',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    last - first, latency:percentile(50) / 1000, latency:percentile(99) / 1000, short
  ))
end
