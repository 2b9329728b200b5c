"""luajit.py -- LuaJIT inside Python: its packages have the library always,
its command not always, and Lua 5.1's own luac does not know its syntax."""
import ctypes
import os

GLOBALS = -10002  # LUA_GLOBALSINDEX
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "globals.lua")

lua = ctypes.CDLL("libluajit-5.1.so.2")
lua.luaL_newstate.restype = ctypes.c_void_p
lua.lua_tolstring.restype = ctypes.c_char_p
for function in (lua.luaL_openlibs, lua.lua_close):
    function.argtypes = [ctypes.c_void_p]
lua.lua_pushstring.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
lua.lua_setfield.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
lua.luaL_loadfile.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
lua.lua_pcall.argtypes = [ctypes.c_void_p] + [ctypes.c_int] * 3
lua.lua_tolstring.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]


def lua_globals(path):
    """([(line, "get" or "set", name)...], None), or (None, why not)."""
    state = lua.luaL_newstate()
    try:
        lua.luaL_openlibs(state)
        lua.lua_pushstring(state, path.encode())
        lua.lua_setfield(state, GLOBALS, b"path")
        failed = (lua.luaL_loadfile(state, SCRIPT.encode())
                  or lua.lua_pcall(state, 0, 2, 0))
        text = lua.lua_tolstring(state, -1 if failed else -2, None)
        if failed or text is None:
            why = lua.lua_tolstring(state, -1, None)
            return None, why.decode(errors="replace")
        rows = (line.split(" ") for line in text.decode().splitlines())
        return [(int(line), verb, name) for line, verb, name in rows], None
    finally:
        lua.lua_close(state)
