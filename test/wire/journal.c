/* journal: prints the records of a copy of a journal, for the wire tests: one line each,
 * "position type customer account id removed". The directory's last part is the journal's name
 * below "journal/"; the copy is recovered first, as its writer would, so a torn end is no
 * error.
 *
 *   journal ROOT DIR      (ROOT/DIR is the copy, DIR for example journal/smtpd) */
#include "base/env.h"
#include "journal/reader.h"
#include "journal/writer.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

static int print_all(struct env *env, const char *dir, const struct watermark *mark)
{
    struct journal_reader *r;
    struct journal_record record;
    int rc = journal_reader_open(&r, env, dir, mark, 0);
    if (rc < 0)
        return rc;
    while ((rc = journal_next(r, &record)) == 1)
        printf("%" PRIu64 " %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
               record.position, (int)record.header.type, record.header.customer,
               record.header.account, record_get_u64(record.fields, TAG_ID),
               record_get_u64(record.fields, TAG_REMOVED));
    journal_reader_close(&r);
    return rc;
}

int main(int argc, char **argv)
{
    struct env_real disk;
    struct watermark mark = {0};
    struct journal_writer *writer;
    struct journal_recovery recovery;
    if (argc != 3)
        return 2;
    int root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        perror(argv[1]);
        return 1;
    }
    env_real_init(&disk, root);
    struct journal_config config = {.env = &disk.env, .dir = argv[2], .watermark = &mark};
    int rc = journal_writer_open(&writer, &config, &recovery);
    if (rc == 0) {
        rc = print_all(&disk.env, argv[2], &mark);
        journal_writer_close(&writer);
    }
    if (rc < 0)
        fprintf(stderr, "journal: error %d\n", rc);
    return rc < 0;
}
