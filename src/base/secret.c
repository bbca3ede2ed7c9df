#include "base/secret.h"

void secret_wipe(void *ptr, size_t len)
{
    if (len)
        explicit_bzero(ptr, len);
}

bool secret_eq(slice a, slice b)
{
    if (a.len != b.len)
        return false;
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < a.len; i++)
        difference = difference | (unsigned char)(a.ptr[i] ^ b.ptr[i]);
    return difference == 0;
}
