-- base.lua -- the small helpers of resty.core that libraries use.

local ffi = require "ffi"

local _M = {
  version = "0.1.25",
  new_tab = require "table.new",
  clear_tab = require "table.clear",
  FFI_OK = 0, FFI_ERROR = -1, FFI_AGAIN = -2, FFI_BUSY = -3, FFI_DONE = -4,
  FFI_DECLINED = -5, FFI_NO_REQ_CTX = -100, FFI_BAD_CONTEXT = -101,
}

local bytes = ffi.typeof "char[?]"
local size, buffer = 4096, nil
local size_ptr = ffi.new "size_t[1]"
local errmsg_ptr = ffi.new "char *[1]"

-- The scratch buffer's size; a new one drops the buffer.
function _M.set_string_buf_size(n)
  size, buffer = n, nil
end

-- In bytes.
function _M.get_string_buf_size()
  return size
end

-- A buffer of at least n bytes: the shared one, unless it is too small or
-- must_alloc says that somebody else may write to that.
function _M.get_string_buf(n, must_alloc)
  if must_alloc or n > size then
    return bytes(n)
  end
  buffer = buffer or bytes(size)
  return buffer
end

-- A size_t for functions in C to write to; the same one each time.
function _M.get_size_ptr()
  return size_ptr
end

-- Likewise a char *.
function _M.get_errmsg_ptr()
  return errmsg_ptr
end

-- Keeps key in t and returns its number there; free numbers are a list that
-- starts at t[0].
function _M.ref_in_table(t, key)
  if key == nil then
    return -1
  end
  local ref = t[0]
  if ref and ref ~= 0 then
    t[0] = t[ref]
  else
    ref = #t + 1
  end
  t[ref] = key
  return ref
end

-- Raises unless the subsystem "http" is among the names.
function _M.allows_subsystem(...)
  for i = 1, select("#", ...) do
    if select(i, ...) == ngx.config.subsystem then
      return
    end
  end
  error("unsupported subsystem: " .. ngx.config.subsystem, 2)
end

return _M
