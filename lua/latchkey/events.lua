-- events.lua -- what happens now: server-sent events for operators who look on,
-- from all workers, and lines of JSON where latchkey_event_log names a file.
--
-- Nothing is made where nobody looks.  A reader takes what came since his
-- last turn out of a journal; one who is slower than what comes is let go.

local cjson = require "cjson.safe"
local journal = require "latchkey.journal"
local req = require "latchkey.request"
local server = require "latchkey.server"

local ngx = ngx

local READERS = 8       -- of one worker
local TURN = 0.25       -- seconds between two looks
local PING = 2          -- seconds of silence before a sign of life, which also
                        -- finds out a reader who has left
local BEHIND = 400      -- events; the journal keeps 512

local kept = journal.open "events"

local events = {}
local readers = 0

-- Whether anyone looks: else there is no need to tell.
function events.watched()
  return kept:watched() or server.event()
end

-- Which request it was, and its trace (W3C); a task of its own has none.
local function place(fields)
  if ngx.get_phase() == "timer" then return end
  fields.request_id = fields.request_id or req.id()
  fields.trace_id = fields.trace_id or ngx.var.trace_id
end

-- Tells of something; fields must hold no secret.
function events.tell(kind, fields)
  local logged = server.event()
  if not logged and not kept:watched() then return end
  place(fields)
  fields.at = ngx.now()
  kept:add(kind .. "\n" .. cjson.encode(fields))
  if logged then
    fields.event = kind
    server.event(cjson.encode(fields))
  end
end

local function refuse(status, reason)
  ngx.status = status
  ngx.header["Content-Type"] = "application/json; charset=utf-8"
  ngx.header["X-Content-Type-Options"] = "nosniff"
  ngx.print(cjson.encode { code = status, reason = reason,
                           msg = "too many readers" })
end

-- Prints what came since; -> number of the last one.
local function print_new(at)
  local text, number = kept:next(at)
  while text do
    local kind, fields = text:match "^([^\n]*)\n(.*)$"
    ngx.print("id: ", number, "\nevent: ", kind, "\ndata: ", fields, "\n\n")
    at = number
    text, number = kept:next(at)
  end
  return at
end

-- One turn: -> where we are, whether something was printed; nil: it is over.
local function turn(at)
  kept:watch(8 * TURN)
  if ngx.worker.exiting() then
    ngx.print("event: bye\ndata: {}\n\n")
    return nil
  end
  if kept:last() - at > BEHIND then
    ngx.print("event: late\ndata: {}\n\n")
    return nil
  end
  local now = print_new(at)
  return now, now ~= at
end

local function follow()
  local at, silent = kept:last(), 0
  kept:watch(8 * TURN)
  ngx.print(": latchkey\n\n")
  repeat
    if not ngx.flush(true) then return end -- waits for a slow reader
    ngx.sleep(TURN)
    local printed
    at, printed = turn(at)
    silent = printed and 0 or silent + TURN
    if silent >= PING then
      ngx.print(": \n\n")
      silent = 0
    end
  until not at
end

-- Answers GET /admin/events until the reader, or this server, goes.
function events.serve()
  if readers >= READERS then return refuse(503, "too_many_readers") end
  readers = readers + 1
  ngx.on_abort(function()
    readers = readers - 1
    ngx.exit(499)
  end)
  ngx.header["Content-Type"] = "text/event-stream; charset=utf-8"
  ngx.header["X-Content-Type-Options"] = "nosniff"
  ngx.header["Cache-Control"] = "no-store"
  ngx.header["X-Accel-Buffering"] = "no"
  if ngx.req.get_method() ~= "HEAD" then follow() end
  readers = readers - 1
end

return events
