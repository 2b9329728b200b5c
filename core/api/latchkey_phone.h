/* latchkey_phone.h -- the phone number in a platform's answer. */
#pragma once
#include "platform/platform_call.h"
#include <lua.h>

/* Sets `number` and `json` ({phoneNumber, purePhoneNumber, countryCode}) in
 * the table at the top of L.  False: the answer makes no sense, does not open
 * with private_key, or is for another app; call->reason and errmsg say so. */
bool latchkey_phone_set(lua_State *L, struct platform_call *call,
                        const struct platform_field *field,
                        struct slice private_key);
