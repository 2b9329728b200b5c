/* variable_family.h -- variables by a prefix and a rest, for variable.c. */
#pragma once
#include "api/request.h"

bool variable_family_has(struct slice name);

/* Appends the value; false: no such one, or it has none here. */
bool variable_family_get(struct request *r, struct slice name, struct buf *out);
