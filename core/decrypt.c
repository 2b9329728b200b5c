/* decrypt.c -- `latchkey decrypt`: opens data by hand, says why it does not
 * open. */
#include "decrypt.h"
#include "base/text.h"
#include "crypto/cipher.h"
#include "login/opendata.h"
#include "login/plaintext.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
    "usage: latchkey decrypt --key K|- --iv IV [--appid A] [DATA|-]";

enum { INPUT_MAX = 1 << 20 };

/* What was asked, as text; all of it points into argv, input or the
 * environment. */
struct request {
    struct slice key, iv, appid, data;
    struct buf input; /* standard input, where it was needed */
};

/* What it becomes on the way. */
struct opening {
    struct buf key, iv, data, plain;
};

static enum err parse_options(struct request *r, int argc, char **argv)
{
    static const struct option options[] = {
        { "key", required_argument, NULL, 'k' },
        { "iv", required_argument, NULL, 'i' },
        { "appid", required_argument, NULL, 'a' },
        { NULL, 0, NULL, 0 },
    };
    r->key = slice_str(getenv("LATCHKEY_KEY"));
    optind = 0; /* the process may have read options before (glibc) */
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        struct slice *field = c == 'k'   ? &r->key
                              : c == 'i' ? &r->iv
                              : c == 'a' ? &r->appid
                                         : NULL;
        if (!field)
            return err_set(ERR_INVALID, "%s", usage);
        *field = slice_str(optarg);
    }
    if (!r->key.len || !r->iv.data || argc - optind > 1)
        return err_set(ERR_INVALID, "%s", usage);
    r->data = optind < argc ? slice_str(argv[optind]) : SLICE("-");
    return OK;
}

static enum err read_input(struct buf *input)
{
    char *to = buf_reserve(input, INPUT_MAX); /* at once: it may be a key */
    if (!to)
        return ERR_NOMEM;
    ssize_t n;
    while ((n = read(STDIN_FILENO, to + input->len, INPUT_MAX - input->len)) >
           0)
        input->len += (size_t)n;
    if (n < 0)
        return err_set(ERR_IO, "standard input cannot be read");
    return input->len < INPUT_MAX
               ? OK
               : err_set(ERR_TOO_LARGE, "standard input is over 1 MB");
}

/* Without blanks and line ends around. */
static struct slice trim(struct slice s)
{
    while (s.len && strchr(" \t\r\n", s.data[s.len - 1]))
        s.len--;
    while (s.len && strchr(" \t\r\n", s.data[0]))
        s = slice_from(s, 1);
    return s;
}

static enum err fill_from_input(struct request *r)
{
    bool key = slice_eq(r->key, SLICE("-"));
    bool data = slice_eq(r->data, SLICE("-"));
    if (!key && !data)
        return OK;
    enum err e = read_input(&r->input);
    struct slice rest = buf_slice(&r->input);
    if (key) {
        size_t end = slice_find(rest, '\n');
        r->key = trim((struct slice){ rest.data, end });
        rest = slice_from(rest, end);
    }
    if (data)
        r->data = trim(rest);
    return e;
}

/* Base64 of exactly 16 bytes, or a sentence about what it is instead. */
static enum err decode_block(struct buf *out, struct slice text,
                             const char *what)
{
    if (!buf_reserve(out, text.len + 4))
        return ERR_NOMEM;
    if (!text_unbase64(out, text))
        return err_set(ERR_INVALID, "malformed %s: not base64", what);
    if (out->len != CIPHER_BLOCK)
        return err_set(ERR_INVALID, "malformed %s: %zu bytes, not 16", what,
                       out->len);
    return OK;
}

static enum err decode_data(struct buf *out, struct slice text)
{
    struct buf repaired = { 0 };
    if (opendata_repair(text, &repaired))
        text = buf_slice(&repaired);
    bool ok = text_unbase64(out, text);
    buf_free(&repaired);
    if (!ok)
        return err_set(ERR_INVALID, "malformed data: not base64");
    if (!out->len)
        return err_set(ERR_INVALID, "malformed data: empty");
    if (out->len % CIPHER_BLOCK)
        return err_set(ERR_INVALID,
                       "malformed data: %zu bytes are not whole blocks of 16",
                       out->len);
    return OK;
}

static enum err check_appid(const json_t *object, struct slice appid)
{
    const json_t *watermark = json_object_get(object, "watermark");
    const char *theirs = json_string_value(json_object_get(watermark, "appid"));
    if (!appid.len)
        return OK;
    if (!theirs)
        return err_set(ERR_REFUSED, "it opens, but has no watermark.appid to "
                                    "compare with --appid");
    if (slice_eq(slice_str(theirs), appid))
        return OK;
    struct buf shown = { 0 }; /* escaped: it goes to a terminal */
    text_json_escape(&shown, slice_str(theirs));
    err_set(ERR_REFUSED,
            "it opens, but watermark.appid is \"%.*s\" and --appid \"%.*s\"",
            SLICE_FMT(buf_slice(&shown)), SLICE_FMT(appid));
    buf_free(&shown);
    return ERR_REFUSED;
}

/* Why text is no JSON object. */
static enum err explain(struct slice text, size_t pad)
{
    static const char *const says[] = {
        [PLAINTEXT_NOISE] =
            "the padding is right by chance, the text is no JSON object: "
            "wrong or stale session_key",
        [PLAINTEXT_TEXT] = "the session_key opens it, but the text is no JSON "
                           "object that can be used",
        [PLAINTEXT_WRONG_IV] = "the session_key opens all but the first block: "
                               "the iv is of other data",
    };
    enum plaintext seen = plaintext_judge(text, pad);
    if (seen == PLAINTEXT_TEXT && !text_is_utf8(text))
        return err_set(ERR_REFUSED,
                       "the session_key opens it, but the text is not UTF-8");
    if (seen == PLAINTEXT_NOISE && !text_is_utf8(text))
        return err_set(ERR_REFUSED, "the padding is right by chance, the text "
                                    "is not UTF-8: wrong or stale session_key");
    return err_set(ERR_REFUSED, "%s", says[seen]);
}

static enum err check_plain(struct slice plain, size_t pad, struct slice appid)
{
    json_t *object = opendata_parse(plain);
    if (!object)
        return explain(plain, pad);
    enum err e = check_appid(object, appid);
    json_decref(object);
    return e;
}

static enum err open_by_hand(const struct request *r, struct opening *o)
{
    enum err e;
    if ((e = decode_block(&o->key, r->key, "session_key")))
        return e;
    if ((e = decode_block(&o->iv, r->iv, "iv")))
        return e;
    if ((e = decode_data(&o->data, r->data)))
        return e;
    e = cipher_cbc_decrypt(buf_slice(&o->key), (uint8_t *)o->iv.data,
                           buf_slice(&o->data), &o->plain);
    if (e == ERR_REFUSED)
        return err_set(e, "bad padding: wrong or stale session_key");
    return e ? e
             : check_plain(buf_slice(&o->plain), o->data.len - o->plain.len,
                           r->appid);
}

/* Prints the outcome; the exit status. */
static int tell(enum err e, struct slice plain)
{
    if (e) {
        fprintf(stderr, "latchkey: %s\n",
                *err_text() ? err_text() : err_name(e));
        return 1;
    }
    fwrite(plain.data, 1, plain.len, stdout);
    putchar('\n');
    if (!fflush(stdout) && !ferror(stdout))
        return 0;
    fprintf(stderr, "latchkey: standard output cannot be written\n");
    return 1;
}

int decrypt_main(int argc, char **argv)
{
    struct request r = { 0 };
    struct opening o = { 0 };
    enum err e = parse_options(&r, argc, argv);
    if (!e)
        e = fill_from_input(&r);
    if (!e)
        e = open_by_hand(&r, &o);
    int status = tell(e, buf_slice(&o.plain));
    buf_wipe(&r.input);
    buf_wipe(&o.key);
    buf_wipe(&o.iv);
    buf_wipe(&o.data);
    buf_wipe(&o.plain);
    return status;
}
