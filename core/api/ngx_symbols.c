/* ngx_symbols.c -- functions of nginx that Lua libraries call through FFI
 * (lua-resty-string does); the linker exports them. */
#include "api/ngx_symbols.h"
#include "base/text.h"

uint8_t *ngx_hex_dump(uint8_t *to, const uint8_t *from, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        *to++ = (uint8_t)digits[from[i] >> 4];
        *to++ = (uint8_t)digits[from[i] & 15];
    }
    return to;
}

intptr_t ngx_atoi(const uint8_t *text, size_t len)
{
    uint64_t n;
    if (!text_u64(SLICE_OF(text, len), &n) || n > INTPTR_MAX)
        return -1;
    return (intptr_t)n;
}
