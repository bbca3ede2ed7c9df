/* policyd: a stream of requests reads the same however it arrives, and an answer is one action
 * whatever its text. First byte: the size of the pieces. */
#include "fuzz.h"

#include "codec/policyd.h"

static void note_request(struct buf *seen, const struct policyd_request *r, slice in)
{
    const slice parts[] = {r->protocol_name, r->client_address, r->client_name,
                           r->helo_name,     r->sender,         r->recipient,
                           r->instance,      r->queue_id,       r->sasl_method,
                           r->sasl_username, r->sasl_sender,    r->encryption_protocol,
                           r->policy_context};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        fuzz_inside(parts[i], in);
        INVARIANT(slice_find(parts[i], '\n') < 0 && slice_find(parts[i], '\0') < 0);
        buf_append(seen, parts[i]);
        buf_byte(seen, '|');
    }
    INVARIANT(r->client.family == 0 || r->client.family == 4 || r->client.family == 6);
    buf_printf(seen, "%d %llu %llu\n", r->state, (unsigned long long)r->size,
               (unsigned long long)r->recipient_count);
}

static void read_all(slice in, size_t step, struct buf *notes)
{
    size_t given = 0, seen = 0;
    while (given < in.len) {
        given = in.len - given < step ? in.len : given + step;
        enum policyd_result result = POLICYD_REQUEST;
        while (result == POLICYD_REQUEST) {
            struct policyd_request r;
            slice known = slice_to(in, given);
            size_t used = 0;
            result = policyd_parse(known, &seen, &r, &used);
            if (result == POLICYD_BAD) {
                buf_append(notes, SLICE("bad\n"));
                return;
            }
            if (result == POLICYD_MORE)
                continue;
            INVARIANT(used > 0 && used <= given && used <= POLICYD_REQUEST_MAX);
            note_request(notes, &r, known);
            in = slice_from(in, used);
            given -= used;
        }
    }
}

static void check_answer(slice text)
{
    struct buf out = BUF_INIT;
    policyd_write_reply(&out, 450, (struct enhanced){4, 7, 1}, text);
    policyd_write_defer_if_permit(&out, (struct enhanced){4, 7, 1}, text);
    slice rest = buf_slice(&out);
    size_t lines = 0;
    slice line;
    while (slice_split(&rest, '\n', &line)) {
        bool is_action = lines++ % 2 == 0;
        INVARIANT(is_action ? slice_starts(line, SLICE("action=")) : line.len == 0);
        INVARIANT(line.len <= POLICYD_TEXT_MAX + 40);
    }
    INVARIANT(lines == 4);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice in = fuzz_slice(data, size);
    unsigned byte = fuzz_byte(&in);
    struct buf whole = BUF_INIT;
    struct buf pieces = BUF_INIT;
    read_all(in, in.len + 1, &whole);
    read_all(in, byte % 16 + 1, &pieces);
    fuzz_same(buf_slice(&whole), buf_slice(&pieces));
    check_answer(in);
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
