-- globals.lua -- lists the globals that a Lua file reads and writes.
--
-- Takes `path` and returns lines "LINE get NAME" and "LINE set NAME", from the
-- bytecode; nil and a message where the file does not compile.

local bit  = require "bit"
local util = require "jit.util"

local function opcode(func, pc)
  local instruction = util.funcbc(func, pc)
  return instruction and bit.band(instruction, 0xff), instruction
end

-- The numbers differ between versions: ask for two known instructions.
local GET = opcode(loadstring("return x"), 1)
local SET = opcode(loadstring("x = 1"), 2)

local function walk(func, lines)
  local pc = 1
  local op, instruction = opcode(func, pc)
  while op do
    if op == GET or op == SET then
      local name = util.funck(func, -bit.rshift(instruction, 16) - 1)
      local line = util.funcinfo(func, pc).currentline
      lines[#lines + 1] = line .. (op == SET and " set " or " get ") .. name
    end
    pc = pc + 1
    op, instruction = opcode(func, pc)
  end
  local inner = -1 -- constants that are functions: their prototypes
  local const = util.funck(func, inner)
  while const ~= nil do
    if type(const) == "proto" then
      walk(const, lines)
    end
    inner = inner - 1
    const = util.funck(func, inner)
  end
end

local func, message = loadfile(path)
if not func then
  return nil, message
end
local lines = {}
walk(func, lines)
return table.concat(lines, "\n")
