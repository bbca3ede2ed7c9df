/* dns: whatever the data, a host is text that fits, and one that is a host name has the octets
 * of the data. */
#include "fuzz.h"

#include "codec/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice in = fuzz_slice(data, size);
    struct arena a = ARENA_INIT;
    uint16_t preference;
    slice host;
    if (dns_mx_read(&a, in, &preference, &host)) {
        INVARIANT(host.len <= 253);
        INVARIANT(host.len == 0 ? in.len == 3 : in.len == host.len + 4);
        for (size_t i = 0; i < host.len; i++)
            INVARIANT(host.ptr[i] > ' ' && host.ptr[i] < 0x7f);
        for (size_t i = 0; i < host.len && host_is_name(host, false); i++)
            INVARIANT(host.ptr[i] == '.' || host.ptr[i] == in.ptr[i + 3]);
    }
    struct address address;
    if (dns_address_read(in, &address))
        INVARIANT(in.len == (address.family == 4 && in.len == 4 ? 4 : 16));
    arena_fini(&a);
    return 0;
}
