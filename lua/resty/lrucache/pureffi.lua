-- pureffi.lua -- the other name of lrucache: its keys are in a Lua table too,
-- and a load factor has no meaning.

return require "resty.lrucache"
