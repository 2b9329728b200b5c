-- tap.lua -- the checks of tests/lua: a line each, and an error at done() if
-- any failed, so that the process exits non-zero.

local t = { count = 0, failed = 0 }

local function show(value)
  return type(value) == "string" and string.format("%q", value)
    or tostring(value)
end

-- Anything but nil and false is fine.
function t.ok(value, name, why)
  t.count = t.count + 1
  if value then
    io.stdout:write("ok ", name, "\n")
  else
    t.failed = t.failed + 1
    io.stdout:write("not ok ", name, " - ", why or "it is " .. show(value),
      "\n")
  end
  return value
end

function t.is(got, want, name)
  return t.ok(got == want, name, show(got) .. ", not " .. show(want))
end

-- All results of a call at once: t.list({ f() }, { 1, nil, 3, n = 3 }, name)
function t.list(got, want, name)
  local n = want.n or #want
  local a, b = {}, {}
  for i = 1, math.max(n, table.maxn(got)) do
    a[i], b[i] = show(got[i]), i <= n and show(want[i]) or "nothing"
  end
  return t.is(table.concat(a, ", "), table.concat(b, ", "), name)
end

-- f(...) raises, and the error has text in it.
function t.raises(text, name, f, ...)
  local ok, err = pcall(f, ...)
  if ok then
    return t.ok(false, name, "nothing was raised")
  end
  return t.ok(tostring(err):find(text, 1, true), name,
    show(err) .. " has no " .. show(text))
end

function t.done()
  io.stdout:write("1..", t.count, "\n")
  io.stdout:flush()
  if t.failed > 0 then
    error(t.failed .. " of " .. t.count .. " checks failed", 0)
  end
end

return t
