/* secret: bytes that must not stay in memory or be compared in varying time. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/attr.h"
#include "base/slice.h"

/* Overwrites in a way that the compiler keeps. */
void secret_wipe(void *ptr, size_t len);
/* Equal? In time that depends on the lengths only. */
bool secret_eq(slice a, slice b);

#endif
