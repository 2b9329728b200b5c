/* plaintext.c -- whether a key made sense of sealed data that is no JSON.
 *
 * Each byte is weighed by how much likelier it is in text than in noise, in
 * bits; in noise the sum reaches n once in 2^n times. */
#include "login/plaintext.h"
#include "base/text.h"
#include "crypto/cipher.h"

enum {
    ASCII = 1,    /* 98 of 256 bytes of noise */
    OTHER = -2,   /* neither ASCII nor UTF-8 */
    BRACE = 7,    /* in front */
    PADDING = 8,  /* each byte of it */
    CERTAIN = 36, /* bits */
    LONGEST = 4   /* bytes of a letter */
};

static bool is_ascii(unsigned char c)
{
    return (c >= ' ' && c < 0x7f) || c == '\t' || c == '\n' || c == '\r';
}

/* The bytes of the letter in front that is not ASCII; 0: it is none. */
static size_t letter(struct slice s)
{
    for (size_t n = 2; n <= LONGEST && n <= s.len; n++)
        if (text_is_utf8(SLICE_OF(s.data, n)))
            return n;
    return 0;
}

/* The weight of s; *noise: where its first byte of noise is, or its length. */
static int weigh(struct slice s, size_t *noise)
{
    int sum = s.len && *s.data == '{' ? BRACE : 0;
    *noise = s.len;
    for (size_t i = 0, n; i < s.len; i += n) {
        n = 1;
        if (is_ascii((unsigned char)s.data[i])) {
            sum += ASCII;
        } else if ((n = letter(slice_from(s, i))) == 0) {
            n = 1;
            sum += OTHER;
            if (*noise == s.len)
                *noise = i;
        }
    }
    return sum;
}

/* {" or {} or a blank between: so no block of noise begins. */
static bool begins_object(struct slice s)
{
    return s.len > 1 && s.data[0] == '{' && s.data[1] &&
           strchr("\"} \t\r\n", s.data[1]);
}

enum plaintext plaintext_judge(struct slice text, size_t pad)
{
    size_t noise, unused;
    int all = weigh(text, &noise);
    int rest = weigh(slice_from(text, CIPHER_BLOCK), &unused);
    int certain = CERTAIN - PADDING * (int)pad;
    if (all < certain && rest < certain)
        return PLAINTEXT_NOISE;
    if (text.len <= CIPHER_BLOCK || begins_object(text))
        return PLAINTEXT_TEXT;
    bool noisy = noise < CIPHER_BLOCK;
    bool headless = !strchr("{[", *text.data) && /* or a zero */
                    text.data[text.len - 1] == '}';
    return noisy || headless ? PLAINTEXT_WRONG_IV : PLAINTEXT_TEXT;
}
