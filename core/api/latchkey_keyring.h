/* latchkey_keyring.h -- key rings as userdata, shared by the bindings that
 * make, store and use them.  A script never sees a key. */
#pragma once
#include "login/keyring.h"
#include "login/opendata.h"
#include <lua.h>

/* A new empty ring at the top of L, wiped when collected. */
struct keyring *latchkey_keyring_push(lua_State *L);

/* The ring at index; raises for anything else. */
struct keyring *latchkey_keyring_check(lua_State *L, int index);

/* The ring at index, or NULL. */
struct keyring *latchkey_keyring_test(lua_State *L, int index);

/* A fresh key, as an exchange brings it: a userdata too, to be pushed. */
void latchkey_keyring_push_key(lua_State *L, struct slice text);

/* The key at index, or the newest of the ring there; NULL where it is
 * neither.  Lua's. */
struct session_key *latchkey_keyring_newest(lua_State *L, int index);

/* Pushes {phoneNumber, purePhoneNumber, countryCode} as JSON. */
void latchkey_keyring_push_phone(lua_State *L,
                                 const struct opendata_phone *phone);
