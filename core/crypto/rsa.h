/* rsa.h -- RSA with PKCS#1 v1.5 padding (RFC 8017, 7.2), as Douyin seals
 * phone numbers.
 *
 * This padding is a classic oracle: whatever is wrong, the answer is the
 * same, and how long the padding is looked at does not depend on it.  Any
 * thread. */
#pragma once
#include "base/buf.h"

enum { RSA_SEALED_MAX = 4096 }; /* bytes, of all blocks */

/* Appends what sealed says: blocks of the key's size, one after the other,
 * each opened and their texts joined.  pem: a private key, PKCS#1 or PKCS#8.
 * ERR_REFUSED: anything at all is wrong, the key included; nothing is
 * appended then.  ERR_NOMEM. */
enum err rsa_open(struct slice pem, struct slice sealed, struct buf *out);

/* The other side: seals plain for the owner of a public key, in as many
 * blocks as it takes.  ERR_INVALID: no such key; ERR_NOMEM. */
enum err rsa_seal(struct slice pem, struct slice plain, struct buf *out);
