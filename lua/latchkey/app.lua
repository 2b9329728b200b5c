-- app.lua -- policies: one Lua file per app says how logging in works there.
--
--   local app = require "latchkey.app"
--   return app { platform = "wechat", appid = "wx...", secret = app.env "S" }
--
-- The fields are schema.lua's.  The server installs each file by its name;
-- `app.get(name)` finds it.

local schema = require "latchkey.schema"
local server = require "latchkey.server"

local app = {}
local installed = {}
local Policy = {} -- marks what app{...} returned

-- The environment's value; an error at the caller's line where it is not set.
function app.env(name)
  local value = os.getenv(name)
  if not value or value == "" then
    error(("the environment's %s is not set"):format(name), 2)
  end
  return (value:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- A file's text without blanks around; relative to the prefix.
function app.file(path)
  local full = path:sub(1, 1) == "/" and path or server.prefix() .. path
  local text, why = server.secret(full)
  if not text then error(why, 2) end
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

setmetatable(app, {
  __call = function(_, raw)
    return type(raw) == "table" and setmetatable(raw, Policy) or nil
  end,
})

-- text with its comments taken out, its lines where they were.
local function uncommented(text)
  text = text:gsub("(%-%-%[(=*)%[.-%]%2%])", function(comment)
    return (comment:gsub("[^\n]", ""))
  end)
  return (text:gsub("%-%-[^\n]*", ""))
end

-- The line of text where the field was written, or of `app {`.
local function line_of(text, path)
  text = uncommented(text)
  local at = 1
  for _, name in ipairs(path) do
    local plain = name:gsub("%W", "%%%0")
    local from = text:find("%f[%w_]" .. plain .. "%f[^%w_]%s*=[^=]", at)
        or text:find("[\"']" .. plain .. "[\"']%s*%]%s*=", at)
    if not from then break end
    at = from
  end
  if at == 1 then at = text:find("app%s*[({]") or 1 end
  local _, newlines = text:sub(1, at):gsub("\n", "")
  return newlines + 1
end

-- In one line, and without the source that Lua quotes where it does not parse:
-- that may be a secret.
local function without_source(message)
  return (message:gsub(" near '.*$", ""):gsub("%s*\n%s*", " "))
end

-- What a policy's code sees as its globals: ours for reading; its own names are
-- its own.  A name that nobody set is a mistake, and not nil.
local function globals()
  return setmetatable({}, { __index = function(_, name)
    local value = _G[name]
    if value == nil then
      error(('"%s" is not defined: is it misspelt, or are its quotes not "..."?')
        :format(tostring(name)), 2)
    end
    return value
  end })
end

-- The whole policy that text says, or raises "PATH:LINE: why".
local function load_policy(path, text)
  local chunk, why = loadstring(text, "@" .. path)
  if not chunk then error(without_source(why), 0) end
  local ok, raw = pcall(setfenv(chunk, globals()))
  if not ok then error(without_source(tostring(raw)), 0) end
  if getmetatable(raw) ~= Policy then
    error(("%s:1: a policy must return app { ... }"):format(path), 0)
  end
  local policy, faults = schema.check(raw)
  if policy then return policy end
  table.sort(faults, function(a, b)
    if a.missing ~= b.missing then return b.missing end -- a misspelt name first
    return line_of(text, a.path) < line_of(text, b.path)
  end)
  local first = faults[1]
  error(("%s:%d: %s"):format(path, line_of(text, first.path), first.message), 0)
end

-- By the server, when a generation is made: installs text as policy `name`.
-- Raises where it does not load; then what was installed stays.
function app.install(name, path, text)
  local policy = load_policy(path, text)
  policy.name, policy.path = name, path
  installed[name] = policy
end

-- The policy called name, or nil.
function app.get(name)
  return installed[name]
end

-- All names, sorted.
function app.names()
  local names = {}
  for name in pairs(installed) do names[#names + 1] = name end
  table.sort(names)
  return names
end

-- A policy's neighbours are found by require: scripts/apps/lib/x.lua is
-- "lib.x".
local folder = server.apps_folder()
if folder then
  package.path = folder .. "/?.lua;" .. folder .. "/?/init.lua;" .. package.path
end

return app
