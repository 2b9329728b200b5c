/* address.h -- where a socket goes: "127.0.0.1", "[::1]", "unix:/path". */
#pragma once
#include "base/err.h"
#include "base/slice.h"
#include <sys/socket.h>

struct address {
    struct sockaddr_storage sa;
    socklen_t len;
};

/* Reads an address of one of these forms.  ERR_NOT_FOUND: it is a name, to be
 * resolved.  ERR_INVALID: it can be neither; err_text() is nginx's word. */
enum err address_parse(struct slice host, unsigned port, struct address *out);

void address_set_port(struct address *a, unsigned port);

/* "127.0.0.1:80", "[::1]:80", "unix:/path". */
enum { ADDRESS_TEXT = 128 };
const char *address_text(const struct address *a, char out[ADDRESS_TEXT]);
