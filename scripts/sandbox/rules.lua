-- rules.lua -- checks for settings.  A rule is function(value, name, old):
-- it gives the value to keep, or nil and a text that names the field.

local json = require "sandbox.json"

local rules = {}

local function wanted(name, what)
  return nil, name .. ": " .. what .. " is wanted"
end

local function is_object(value)
  return type(value) == "table" and value[1] == nil
end

--- A number between two bounds, both included.
function rules.number(least, most)
  return function(value, name)
    if type(value) ~= "number" or not (value >= least and value <= most) then
      return wanted(name, ("a number from %g to %g"):format(least, most))
    end
    return value
  end
end

function rules.boolean(value, name)
  if type(value) ~= "boolean" then
    return wanted(name, "true or false")
  end
  return value
end

function rules.text(value, name)
  if type(value) ~= "string" or value == "" or #value > 256 then
    return wanted(name, "a text of 1 to 256 bytes")
  end
  return value
end

--- A key in PEM.
function rules.pem(value, name)
  if type(value) ~= "string" or #value > 4096
      or not value:find("^%s*%-%-%-%-%-BEGIN PUBLIC KEY%-%-%-%-%-") then
    return wanted(name, "a public key in PEM")
  end
  return value
end

--- Digits only, as in a phone number or a country code.
function rules.digits(value, name)
  if type(value) ~= "string" or not value:find("^%d+$") or #value > 20 then
    return wanted(name, "a text of digits")
  end
  return value
end

--- One of a list of words.
function rules.choice(words)
  return function(value, name)
    for _, word in ipairs(words) do
      if value == word then
        return value
      end
    end
    return wanted(name, "one of " .. table.concat(words, ", "))
  end
end

local function merge(value, name, old, rule_of)
  if not is_object(value) then
    return wanted(name, "an object")
  end
  local merged = {}
  for key, item in pairs(old or {}) do
    merged[key] = item
  end
  for key, item in pairs(value) do
    local field = name .. "." .. tostring(key)
    local rule = rule_of(key)
    if not rule then
      return nil, field .. ": no such field"
    end
    local checked, err
    if item ~= json.null then
      checked, err = rule(item, field, merged[key])
      if checked == nil then
        return nil, err
      end
    end
    merged[key] = checked
  end
  return merged
end

--- An object with known fields; those that are not given keep their value.
function rules.record(fields)
  return function(value, name, old)
    return merge(value, name, old, function(key) return fields[key] end)
  end
end

--- An object with any names, each value by one rule; merged into the old
--- one, null takes a name out.
function rules.map(rule)
  return function(value, name, old)
    return merge(value, name, old, function() return rule end)
  end
end

--- A set of names, given as a list or as {name: true}; replaces the old one.
function rules.set(value, name)
  if type(value) ~= "table" then
    return wanted(name, "a list of names")
  end
  local set = {}
  for key, item in pairs(value) do
    local member = type(key) == "number" and item or key
    if type(member) ~= "string" or (member == key and item ~= true) then
      return wanted(name, "a list of names")
    end
    set[member] = true
  end
  return set
end

return rules
