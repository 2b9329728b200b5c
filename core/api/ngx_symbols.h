/* ngx_symbols.h -- functions of nginx that Lua libraries call through FFI, by
 * nginx's names. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Writes 2 * len lower-case digits, and returns where they end. */
uint8_t *ngx_hex_dump(uint8_t *to, const uint8_t *from, size_t len);

/* The decimal number; -1 for anything else. */
intptr_t ngx_atoi(const uint8_t *text, size_t len);
