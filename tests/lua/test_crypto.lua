-- test_crypto.lua -- require "latchkey.crypto", by published values.

package.path = "tests/lua/?.lua;" .. package.path
local t = require "tap"
local c = require "latchkey.crypto"

t.is(c.hex "\0\255az", "00ff617a", "hex")
t.is(c.unhex "00Ff617a", "\0\255az", "unhex")
t.list({ c.unhex "0" }, { nil, "invalid hex", n = 2 }, "half a byte")
t.list({ c.unhex "zz" }, { nil, "invalid hex", n = 2 }, "not hex")
t.is(c.unhex "", "", "unhex of nothing")

t.is(c.hex(c.md5 "hello"), "5d41402abc4b2a76b9719d911017c592", "md5")
t.is(c.hex(c.sha1 "hello"), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", "sha1")
t.is(c.hex(c.sha256 "abc"),
  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "sha256")
t.is(c.hex(c.hmac_sha256("Jefe", "what do ya want for nothing?")), -- RFC 4231
  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  "hmac_sha256")
t.is(#c.hmac_sha256("", ""), 32, "hmac_sha256 without a key")

t.is(c.base64url "\251\255\254", "-__-", "base64url")
t.is(c.base64url "a", "YQ", "base64url has no padding")
t.is(c.unbase64url "-__-", "\251\255\254", "unbase64url")
t.is(c.unbase64url "YQ", "a", "unbase64url without padding")
t.list({ c.unbase64url "+//+" }, { nil, "invalid base64url", n = 2 },
  "the other alphabet")
t.list({ c.unbase64url "Y" }, { nil, "invalid base64url", n = 2 }, "too short")

t.is(#c.random(32), 32, "random")
t.is(c.random(0), "", "no random bytes")
t.ok(c.random(16) ~= c.random(16), "random is not the same twice")
t.raises("out of range", "random(-1)", c.random, -1)
t.raises("out of range", "too much random", c.random, 2 ^ 30)

t.is(c.equal("abc", "abc"), true, "equal")
t.is(c.equal("abc", "abd"), false, "not equal")
t.is(c.equal("abc", "ab"), false, "of another length")
t.is(c.equal("", ""), true, "nothing equals nothing")
t.raises("string expected, got nil", "equal to nil", c.equal, "a", nil)

-- RFC 3602, case 4.1
local key = c.unhex "06a9214036b8a15b512e03d534120006"
local iv = c.unhex "3dafba429d9eb430b422da802c9fac41"
local sealed = c.aes_cbc_encrypt(key, iv, "Single block msg")
t.is(c.hex(sealed):sub(1, 32), "e353779c1079aeb82708942dbe77181a",
  "AES-128-CBC")
t.is(#sealed, 32, "a whole block of padding")
t.is(c.aes_cbc_decrypt(key, iv, sealed), "Single block msg", "and back")
for _, size in ipairs { 16, 24, 32 } do
  local k = c.random(size)
  for len = 0, 33, 11 do
    local plain = c.random(len)
    t.is(c.aes_cbc_decrypt(k, iv, c.aes_cbc_encrypt(k, iv, plain)), plain,
      "a key of " .. size .. ", a text of " .. len)
  end
end
t.list({ c.aes_cbc_decrypt(c.unhex(string.rep("00", 16)), iv, sealed) },
  { nil, "bad padding", n = 2 }, "another key")
t.list({ c.aes_cbc_decrypt(key, iv, "short") }, { nil, "invalid length", n = 2 },
  "not whole blocks")
t.list({ c.aes_cbc_decrypt(key, iv, "") }, { nil, "invalid length", n = 2 },
  "no block")
t.list({ c.aes_cbc_decrypt("key", iv, sealed) }, { nil, "invalid key", n = 2 },
  "a key that does not fit")
t.list({ c.aes_cbc_encrypt(key, "iv", "x") }, { nil, "invalid iv", n = 2 },
  "an iv that does not fit")

t.done()
