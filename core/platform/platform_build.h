/* platform_build.h -- a call's URL, headers and body. */
#pragma once
#include "platform/platform_call.h"

/* Fills call's url, body, header and request from its row and values.
 * ERR_INVALID where JSON is wanted and a value is not UTF-8, or a header's
 * value has a control character; ERR_NOMEM. */
enum err platform_build(struct platform_call *call);
