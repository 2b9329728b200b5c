-- fake_store.lua -- latchkey.store in a table of the test's own, by the clock
-- that ngx.time tells: fake.records, and fake.out while it is away.

local fake = { records = {}, out = false, many = false }

local function alive(key)
  local record = fake.records[key]
  return record and record.expires > ngx.time() and record or nil
end

local function fits(write)
  local record = alive(write.key)
  return write.expect == nil or write.expect == (record and record.version or false)
end

local store = {}

function store.get(key, known)
  if fake.out then return nil, "store_unavailable" end
  local record = alive(key)
  if not record then return nil, "not found" end
  if known == record.version then return true end
  return record.value, record.version
end

function store.commit(writes)
  if fake.out then return nil, "store_unavailable" end
  for _, write in ipairs(writes) do
    if not fits(write) then return nil, "conflict" end
  end
  for _, write in ipairs(writes) do
    fake.records[write.key] = not write.remove and {
      value = write.value, expires = write.expires, version = {} } or nil
  end
  return true
end

function store.shared() return fake.many end

package.loaded["latchkey.store"] = store

return fake
