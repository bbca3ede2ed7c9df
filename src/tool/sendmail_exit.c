#include "tool/sendmail_exit.h"

enum { ANY = 0xffff };

/* RFC 3463: what class, subject and detail say; the first row that fits. */
static const struct {
    uint16_t code; /* ANY: every one */
    uint16_t subject;
    uint16_t detail;
    int status;
} rows[] = {
    {530, ANY, ANY, EX_NOPERM}, /* sign in first */
    {535, ANY, ANY, EX_NOPERM}, /* an unknown user */
    {ANY, 7, ANY, EX_NOPERM},   /* security and policy */
    {ANY, 6, ANY, EX_DATAERR},  /* content */
    {ANY, 3, 4, EX_DATAERR},    /* too large */
    {ANY, 1, 3, EX_DATAERR},    /* malformed recipient address */
    {ANY, 1, 7, EX_DATAERR},    /* malformed sender address */
    {ANY, 1, 8, EX_DATAERR},    /* a sender that cannot be */
    {ANY, 1, ANY, EX_NOUSER},   /* the recipient */
    {552, ANY, ANY, EX_DATAERR}, {ANY, ANY, ANY, EX_UNAVAILABLE},
};

static bool fits(uint16_t row, uint16_t value)
{
    return row == ANY || row == value;
}

int sendmail_exit_of(const struct reply *r)
{
    if (r->code / 100 == 4)
        return EX_TEMPFAIL;
    if (r->code / 100 != 5)
        return EX_PROTOCOL;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (fits(rows[i].code, r->code) && fits(rows[i].subject, r->enhanced.subject) &&
            fits(rows[i].detail, r->enhanced.detail))
            return rows[i].status;
    return EX_UNAVAILABLE;
}
