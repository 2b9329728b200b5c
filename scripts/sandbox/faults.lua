-- faults.lua -- what can go wrong on purpose.
--
-- {"code2session": {"kind": "busy", "count": 2}}: the next two calls of that
-- api are "busy" (no count: all of them).  A value may be a list, used up in
-- order.  Names: "code2session", "douyin.code2session", "douyin.*", "*".

local rules = require "sandbox.rules"

local faults = {}

-- The platform answers so instead of doing the work: a code is not spent.
faults.errnos = {
  busy = { wechat = -1, douyin = -1, qq = -1, kuaishou = 100200500 },
  quota = { wechat = 45009, douyin = 28003017, qq = 45009 },
  rate = { wechat = 45011, douyin = 28003018, qq = 45011 },
  blocked = { wechat = 40226 }, -- Douyin has no such answer
  ip = { wechat = 40164 },
}

-- A gateway answers, or nobody does; the platform never saw the call.
faults.before = { status = true, html = true, drop = true }

-- The work is done, a code is spent, and then the reply suffers.
faults.after = {
  drop_after_use = true, garbage = true, truncated = true, empty = true,
  huge = true, slow = true,
}

faults.apis = {
  wechat = {
    "code2session", "checksession", "resetusersessionkey", "token",
    "stable_token", "getuserphonenumber",
  },
  douyin = {
    "code2session", "code2session_v1", "token", "token_v1", "stable_token",
    "client_token", "check_session_key", "reset_session_key",
    "get_phonenumber_info",
  },
  qq = { "code2session" },
  kuaishou = { "code2session" },
}

local fields = {
  kind = rules.text,
  api = rules.text,
  count = rules.number(1, 1e9),
  errcode = rules.number(-1e9, 1e9), -- kind "errcode"
  status = rules.number(200, 599), -- kinds "status" (500) and "html" (502)
  ms = rules.number(0, 600000), -- kind "slow" (10000)
  bytes = rules.number(0, 64 * 1024 * 1024), -- kind "huge" (8 MB)
}

local known = { ["*"] = true }
for platform, apis in pairs(faults.apis) do
  known[platform .. ".*"] = true
  for _, api in ipairs(apis) do
    known[api], known[platform .. "." .. api] = true, true
  end
end

local function check_one(value, name, api)
  local fault, err = rules.record(fields)(value, name)
  if not fault then
    return nil, err
  end
  local kind = fault.kind
  if not (faults.errnos[kind] or faults.before[kind] or faults.after[kind]
      or kind == "errcode") then
    return nil, name .. ".kind: no such kind of fault"
  elseif kind == "errcode" and not fault.errcode then
    return nil, name .. ".errcode: a number is wanted"
  end
  api = api or fault.api
  if not known[api] then
    return nil, name .. ": no such api: " .. tostring(api)
  end
  fault.api = nil
  return fault, nil, api
end

--- The rule for the setting: a map of api names, or a list of faults that
--- each name their api.  Gives {api: [fault, …]}.
function faults.check(value, name)
  if type(value) ~= "table" then
    return nil, name .. ": an object or a list is wanted"
  end
  local checked = {}
  for key, item in pairs(value) do
    local listed = type(key) == "number"
    local several = not listed and type(item) == "table" and item[1]
    for index, one in ipairs(several and item or { item }) do
      local field = name .. "." .. key .. (several and "." .. index or "")
      local fault, err, api = check_one(one, field, not listed and key or nil)
      if not fault then
        return nil, err
      end
      checked[api] = checked[api] or {}
      table.insert(checked[api], fault)
    end
  end
  return checked
end

--- Takes one use of the first fault under these names that suits(fault) and
--- changes set accordingly; nil where there is none.
function faults.take(set, names, suits)
  for _, name in ipairs(names) do
    for index, fault in ipairs(set[name] or {}) do
      if suits(fault) then
        fault.count = fault.count and fault.count - 1
        if fault.count and fault.count < 1 then
          table.remove(set[name], index)
        end
        if #set[name] == 0 then
          set[name] = nil
        end
        return fault
      end
    end
  end
end

return faults
