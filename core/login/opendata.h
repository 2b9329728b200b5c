/* opendata.h -- opens what a platform sealed for us, and says why not.
 *
 * AES-CBC, PKCS#7, JSON inside, with a watermark that names the app.  A key
 * opens the data only if padding, UTF-8 and JSON are right; it is accepted
 * only if the watermark is ours.  Padding alone proves nothing: 1 wrong key
 * in 256 passes it.
 *
 * The cause is for operators.  Callers get one refusal for all causes, and
 * time does not tell either: every key is tried whatever the others did, bad
 * padding is parsed like good, and as many bytes of JSON are parsed in all,
 * wherever the first fault is.  Pure functions, any thread. */
#pragma once
#include "login/keyring.h"
#include <jansson.h>

enum { OPENDATA_MAX = 8192, OPENDATA_NUMBER = 64 }; /* bytes: decoded; text */

enum opendata_cause {
    OPENDATA_OPEN,
    OPENDATA_NO_KEY,             /* the ring has none that counts */
    OPENDATA_KEY_STALE,          /* no key opens it */
    OPENDATA_WRONG_APP,          /* watermark of another app, or none */
    OPENDATA_WRONG_USER,         /* openId of someone else */
    OPENDATA_TOO_OLD,            /* watermark over max_age */
    OPENDATA_FROM_FUTURE,        /* watermark ahead by more than skew */
    OPENDATA_SIGNATURE_MISMATCH, /* told by who checks rawData */
    OPENDATA_NOT_PHONE,          /* opens, but holds no phone number */
    OPENDATA_REPLAYED,           /* told by who remembers ciphertexts */
    OPENDATA_DATA_ODD,           /* a key opens it, but it is no JSON object */
    OPENDATA_IV_MISMATCH,        /* likewise, but for the first block */
    OPENDATA_CAUSES
};

struct opendata_rules {
    struct slice appid;  /* what watermark.appid must be */
    struct slice openid; /* what openId must be, where present; empty: any */
    uint64_t now;        /* unix seconds */
    uint64_t max_age;    /* seconds; 0: the watermark's time is not looked at */
    uint64_t skew;       /* seconds that its time may be ahead of now */
    uint64_t window;     /* seconds: keys learnt before do not count; 0: all */
    unsigned keep;       /* so many of the newest keys count; 0: all */
    bool need_phone;     /* phone fields must be there */
    bool need_watermark; /* else data without one is taken (share info) */
    bool hex;            /* keys and iv are in hex, not base64 */
};

struct opendata {
    enum opendata_cause cause;
    int rank;       /* of the key that opened it, 0 the newest; -1: none */
    json_t *object; /* the caller's; NULL unless the cause is OPENDATA_OPEN */
};

struct opendata_phone {
    char number[OPENDATA_NUMBER], pure[OPENDATA_NUMBER];
    char country[16]; /* empty where nothing tells it */
};

/* Opens data (base64) with iv (as the keys).  OK: out->object, watermark still
 * in it.  ERR_REFUSED: out->cause says why.  ERR_INVALID (`data_malformed`):
 * err_text() names the field; ERR_NOMEM.  out is set in every case. */
enum err opendata_open(const struct keyring *ring, struct slice data,
                       struct slice iv, const struct opendata_rules *rules,
                       struct opendata *out);

/* "open", or the contract's name: "key_stale", "wrong_app", ... */
const char *opendata_cause_name(enum opendata_cause cause);

/* The object in text, as opening takes it (see login/lenient.h); NULL on
 * anything else.  The caller owns it. */
json_t *opendata_parse(struct slice text);

/* The three fields of a phone payload, each from text or number.  One of the
 * two numbers is enough: what is missing follows from them, as far as it can.
 * ERR_INVALID where there is no number. */
enum err opendata_phone(const json_t *object, struct opendata_phone *out);

/* Some form decoders make blanks of base64's '+'.  True: there were blanks,
 * and the text as it must have been is appended.  False: none, nothing is.
 * Where memory runs out the buf is broken. */
bool opendata_repair(struct slice text, struct buf *out);
