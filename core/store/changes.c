/* changes.c -- which parts of the store have been written since one looked. */
#include "store/changes.h"
#include "base/table.h"

uint32_t changes_bucket(struct slice key)
{
    return table_hash(key) % CHANGES_BUCKETS;
}
