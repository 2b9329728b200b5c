/* plaintext.h -- whether a key made sense of sealed data that is no JSON.
 *
 * The wrong key gives random bytes, of which 1 in 256 texts is padded well;
 * fewer than 1 in 10^9 pass here. */
#pragma once
#include "base/slice.h"

enum plaintext {
    PLAINTEXT_NOISE,   /* as of a wrong key */
    PLAINTEXT_TEXT,    /* the key is right */
    PLAINTEXT_WRONG_IV /* the key is right; the first block is noise */
};

/* Judges what was decrypted, without the pad bytes (0: they were not right)
 * behind it.  Its time depends on the length only, nearly. */
enum plaintext plaintext_judge(struct slice text, size_t pad);
