-- core.lua -- what libraries require for OpenResty's API as FFI: here it is
-- all there without.

return { version = require("resty.core.base").version }
