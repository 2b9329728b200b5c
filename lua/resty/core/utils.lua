-- utils.lua -- the helper of resty.core.utils that libraries use.

local _M = { version = require("resty.core.base").version }

-- str with each `find`, a character, replaced by `replace`, another.
function _M.str_replace_char(str, find, replace)
  return (str:gsub((find:gsub("%W", "%%%0")), (replace:gsub("%%", "%%%%"))))
end

return _M
