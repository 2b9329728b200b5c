/* text.h -- hex, base64, URI escaping, query strings, UTF-8, numbers.
 *
 * Encoders append to a buf; decoders append too and say whether the input
 * was well formed (what they appended before the fault stays). */
#pragma once
#include "base/buf.h"
#include <stdint.h>

void text_hex(struct buf *out, struct slice bytes); /* lower case */
bool text_unhex(struct buf *out, struct slice hex);

/* RFC 4648 section 4 with padding; url: section 5 without. */
void text_base64(struct buf *out, struct slice bytes);
void text_base64url(struct buf *out, struct slice bytes);

/* Strict section 4: whole groups, right padding, zero spare bits, no blanks. */
bool text_unbase64(struct buf *out, struct slice text);

/* Strict section 5, padding optional. */
bool text_unbase64url(struct buf *out, struct slice text);

/* RFC 3986: all but A-Z a-z 0-9 and -._~ become %XX. */
void text_escape_uri(struct buf *out, struct slice s);

/* Decodes %XX, keeps a broken escape as it is; plus: '+' is a blank. */
void text_unescape_uri(struct buf *out, struct slice s, bool plus);

/* Walks "a=1&b=2": takes the next name and value (raw, not decoded) off
 * rest.  value.data is NULL where there is no '='.  Empty parts are skipped.
 * False at the end. */
bool text_query_next(struct slice *rest, struct slice *name,
                     struct slice *value);

bool text_is_utf8(struct slice s);

/* Appends s with JSON's escapes, without the quotes around. */
void text_json_escape(struct buf *out, struct slice s);

/* A whole decimal number; false on anything else or overflow. */
bool text_u64(struct slice s, uint64_t *out);

/* nginx sizes: "8k", "1m", "1g", plain bytes. */
bool text_size(struct slice s, uint64_t *out);

/* nginx times, in milliseconds: "75" (seconds), "500ms", "2m", "1h 30m". */
bool text_msec(struct slice s, uint64_t *out);
