-- console.lua -- the operators' page: files of scripts/console, and the chart
-- library that the system has.
--
-- The files hold no secrets and need no token: what they show comes from
-- /admin/, which does.

local ngx = ngx

-- ROOT/lua/latchkey/console.lua -> ROOT/scripts/console/; installed, scripts/
-- lies beside lua/ likewise.
local folder = debug.getinfo(1, "S").source:match "^@(.*)lua/latchkey/"
local CHART = "/usr/share/javascript/chart.js/chart.min.js"

local types = {
  html = "text/html; charset=utf-8",
  css = "text/css; charset=utf-8",
  js = "text/javascript; charset=utf-8",
  svg = "image/svg+xml",
}

local POLICY = table.concat({
  "default-src 'none'", "script-src 'self'", "style-src 'self'",
  "img-src 'self' data:", "connect-src 'self'", "base-uri 'none'",
  "form-action 'none'", "frame-ancestors 'none'",
}, "; ")

local console = {}

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

-- The file for a URI: text, type; nil where there is none.
local function page(where, uri)
  if uri == "/" then uri = "/index.html" end
  if uri == "/chart.js" then return read(CHART), types.js end
  local name, kind = uri:match "^/([%w_-]+%.(%l+))$"
  if not name or not types[kind] then return nil end
  return read((folder or "") .. "scripts/" .. where .. "/" .. name), types[kind]
end

-- Answers a GET for a page under scripts/WHERE.  -> whether there is one.
function console.serve(where, uri)
  local text, kind = page(where, uri)
  if not text then return false end
  local header = ngx.header
  header["Content-Type"] = kind
  header["Content-Length"] = #text
  header["Content-Security-Policy"] = POLICY
  header["X-Content-Type-Options"] = "nosniff"
  header["Referrer-Policy"] = "no-referrer"
  header["Cache-Control"] = "no-cache"
  ngx.print(text)
  return true
end

return console
