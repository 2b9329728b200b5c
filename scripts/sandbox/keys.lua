-- keys.lua -- the session_key of a user in an app: when it is replaced, when
-- it dies, what it seals and signs.
--
-- A record: key (base64 text), born (when made), used (when last used; life
-- counts from here), given (the key that the latest login brought).

local crypto = require "latchkey.crypto"
local settings = require "sandbox.settings"
local state = require "sandbox.state"
local truth = require "sandbox.truth"

local keys = {}

local function update(who, change)
  local key = table.concat({ "user", who.platform, who.appid, who.user }, ":")
  return state.update(key, change)
end

local function alive(record)
  return record.key ~= nil
    and settings.now() - record.used < settings.get().key_life
end

local function replace(record)
  record.key = ngx.encode_base64(crypto.random(16))
  record.born = settings.now()
end

--- A login: Douyin always replaces the key, WeChat only when the least time
--- between rotations has passed.  Gives the key that the code will bring.
function keys.login(who)
  return update(who, function(record)
    local now = settings.now()
    if who.platform == "douyin" or not alive(record)
        or now - record.born >= settings.get().rotate_min then
      replace(record)
    end
    record.used, record.given = now, record.key
    return record.key
  end)
end

--- The key that the phone seals with now, nil before any login.  A dead key
--- is replaced here, and nobody learns the new one before the next login.
function keys.seal_key(who)
  return update(who, function(record)
    if not record.key then
      return nil
    elseif not alive(record) then
      replace(record)
    end
    record.used = settings.now()
    return record.key
  end)
end

--- A back-end is given the key of a login; use makes a live key live longer.
function keys.touch(who, key)
  truth.given(key)
  update(who, function(record)
    if record.key == key and alive(record) then
      record.used = settings.now()
    end
  end)
end

--- The key that counts now, nil where it is dead.  Asking does not renew it.
function keys.current(who)
  return update(who, function(record)
    return alive(record) and record.key or nil
  end)
end

--- What the phone's checkSession says: is the latest login's key the one
--- that counts?  nil before any login.
function keys.check(who)
  return update(who, function(record)
    if record.given then
      return record.key == record.given and alive(record)
    end
  end)
end

--- Replaces the key and keeps its end: a reset never renews.
function keys.reset(who)
  return update(who, function(record)
    replace(record)
    truth.given(record.key)
    return record.key
  end)
end

--- Seals a text: encryptedData and iv, both base64.
function keys.seal(key, plain)
  local iv = crypto.random(16)
  local sealed = crypto.aes_cbc_encrypt(ngx.decode_base64(key), iv, plain)
  local iv_text = ngx.encode_base64(iv)
  truth.sealed(iv_text, key)
  return ngx.encode_base64(sealed), iv_text
end

--- Is it the signature of the empty message?  The HMAC's key is the
--- session_key's text, not its bytes.
function keys.signed(key, signature)
  local own = crypto.hex(crypto.hmac_sha256(key, ""))
  return crypto.equal(own, signature:lower())
end

--- getUserInfo's signature of rawData.
function keys.sign_raw(key, raw)
  return crypto.hex(crypto.sha1(raw .. key))
end

return keys
