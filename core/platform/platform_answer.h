/* platform_answer.h -- reads what a platform says to a call. */
#pragma once
#include "platform/platform_call.h"

/* Fills call's reason, errcode, errmsg and, for PLATFORM_OK, answer, whose
 * fields are then as the row wants them; says what may be done about a
 * refusal.  Whatever does not make sense is PLATFORM_ERROR. */
enum platform_retry platform_answer_read(struct platform_call *call,
                                         struct slice body);

/* Takes an answer for senseless after all: PLATFORM_ERROR, and no fields. */
enum platform_retry platform_answer_reject(struct platform_call *call,
                                           const char *why);

/* Notes a text for people: without control characters, shortened in the
 * middle (WeChat's request id is at the end), left out where one of the
 * call's secrets is in it. */
void platform_answer_note(struct platform_call *call, struct slice text);

/* Forgets the answer. */
void platform_answer_drop(struct platform_call *call);

/* A field of a success (platform.h): a text is "" and a number 0 where it is
 * absent.  Live until platform_call_clear. */
const char *platform_answer_text(const struct platform_call *call,
                                 const char *name);
long platform_answer_number(const struct platform_call *call, const char *name);
const json_t *platform_answer_json(const struct platform_call *call,
                                   const char *name);
