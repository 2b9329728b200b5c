-- json.lua -- JSON as the platforms write it: slashes are not escaped, and an
-- object can keep the order of its fields (sealed data opens with one).

local cjson = require "cjson.safe"

local json = { null = cjson.null, decode = cjson.decode }

--- The text of any value.  Escapes are walked in pairs, so that a backslash
--- before a slash is never mistaken for the escape of that slash.
function json.encode(value)
  return (cjson.encode(value):gsub("\\(.)", function(escaped)
    if escaped == "/" then
      return "/"
    end
  end))
end

--- An object's text from a list of {name, value}; a nil value is left out.
function json.ordered(fields)
  local parts = {}
  for _, field in ipairs(fields) do
    local name, value = field[1], field[2]
    if value ~= nil then
      local text = type(value) == "table" and value[1] and json.ordered(value)
        or json.encode(value)
      parts[#parts + 1] = json.encode(name) .. ":" .. text
    end
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

return json
