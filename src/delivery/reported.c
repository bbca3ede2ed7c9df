#include "delivery/reported.h"

#include <errno.h>

void reported_put_head(struct buf *fields, uint64_t id)
{
    record_put_u64(fields, TAG_REPORTS, id);
}

void reported_put(struct buf *fields, uint32_t index, enum report report)
{
    record_put_u64(fields, TAG_RECIPIENT_INDEX, index);
    record_put_u64(fields, TAG_REPORT, report);
}

/* 1, 0 at the end, -EBADMSG. */
static int next_group(slice *groups, uint32_t *index, enum report *report)
{
    struct record_field f;
    bool has_report = false;
    int more = record_next(groups, &f);
    if (more <= 0)
        return more;
    if (f.tag != TAG_RECIPIENT_INDEX || f.number > UINT32_MAX)
        return -EBADMSG;
    *index = (uint32_t)f.number;
    for (slice rest = *groups; (more = record_next(&rest, &f)) > 0; *groups = rest) {
        if (f.tag == TAG_RECIPIENT_INDEX)
            break;
        if (f.tag != TAG_REPORT)
            continue;
        if (f.number <= REPORT_NONE || f.number > REPORT_IMPOSSIBLE)
            return -EBADMSG;
        *report = (enum report)f.number;
        has_report = true;
    }
    return more < 0 || !has_report ? -EBADMSG : 1;
}

int reported_find(slice fields, struct reported *out)
{
    struct reported r = {0};
    slice rest = fields;
    struct record_field f;
    int more;
    do {
        r.fields = rest;
        more = record_next(&rest, &f);
    } while (more > 0 && f.tag != TAG_REPORTS);
    if (more <= 0)
        return more;
    r.id = f.number;
    r.groups = rest;
    uint32_t index;
    enum report report;
    while ((more = next_group(&rest, &index, &report)) > 0)
        continue;
    if (more < 0 || r.id == 0)
        return -EBADMSG;
    *out = r;
    return 1;
}

bool reported_next(slice *groups, uint32_t *index, enum report *report)
{
    return next_group(groups, index, report) > 0;
}
