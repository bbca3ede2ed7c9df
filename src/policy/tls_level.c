#include "policy/tls_level.h"

enum tls_level tls_level_of(enum tls_level wanted, const struct route_dane *dane)
{
    if (wanted == TLS_LEVEL_NONE || !dane)
        return wanted;
    if (dane->count > 0)
        return TLS_LEVEL_DANE;
    return wanted < TLS_LEVEL_ENCRYPT ? TLS_LEVEL_ENCRYPT : wanted;
}
