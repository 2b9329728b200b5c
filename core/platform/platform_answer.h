/* platform_answer.h -- reads what a platform says to a login. */
#pragma once
#include "platform/platform_login.h"

/* Fills login's reason, errcode, errmsg and, for PLATFORM_OK, identity and
 * key; says what may be done about a refusal.  Whatever does not make sense
 * is PLATFORM_ERROR. */
enum platform_retry platform_answer_read(struct platform_login *login,
                                         struct slice body);

/* Takes an answer for senseless after all: PLATFORM_ERROR, and no identity. */
enum platform_retry platform_answer_reject(struct platform_login *login,
                                           const char *why);

/* Notes a text for people: without control characters, shortened in the
 * middle (WeChat's request id is at the end), left out where the login's
 * code or secret is in it. */
void platform_answer_note(struct platform_login *login, struct slice text);
