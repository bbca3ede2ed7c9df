#include "control/ledger_inside.h"

/* Times are microseconds since 1970 UTC; ids are those of the queue and of directory.db, which
 * is another database: nothing refers to it. Logins are copied, as they were at the time. */
const char *const ledger_steps[] = {
    /* 1: the message log, use, the list of errors. */
    "CREATE TABLE positions ("
    "  journal INTEGER PRIMARY KEY," /* enum id_writer */
    "  position INTEGER NOT NULL"    /* all records before it are in the tables */
    ") STRICT;"
    "INSERT INTO positions VALUES (0, 0), (1, 0);"

    "CREATE TABLE messages ("
    "  id INTEGER PRIMARY KEY,"
    "  at INTEGER NOT NULL,"
    "  customer INTEGER NOT NULL,"
    "  account INTEGER NOT NULL,"
    "  credential INTEGER NOT NULL,"
    "  session INTEGER NOT NULL,"
    "  login TEXT,"
    "  client TEXT,"
    "  helo TEXT,"
    "  protocol TEXT,"
    "  tls TEXT,"
    "  listener TEXT,"
    "  reverse_path TEXT COLLATE NOCASE," /* NULL: <>, or erased */
    "  message_id TEXT,"
    "  octets INTEGER NOT NULL,"
    "  recipients INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX messages_account ON messages (account, id);"
    "CREATE INDEX messages_message_id ON messages (message_id)"
    "  WHERE message_id IS NOT NULL;"
    "CREATE INDEX messages_reverse_path ON messages (reverse_path, id)"
    "  WHERE reverse_path IS NOT NULL;"

    "CREATE TABLE recipients ("
    "  message INTEGER NOT NULL,"
    "  number INTEGER NOT NULL,"
    "  address TEXT NOT NULL COLLATE NOCASE,"
    "  state INTEGER NOT NULL DEFAULT 0,"
    "  attempts INTEGER NOT NULL DEFAULT 0,"
    "  at INTEGER,"
    "  next INTEGER,"
    "  PRIMARY KEY (message, number)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX recipients_address ON recipients (address, message);"

    "CREATE TABLE attempts ("
    "  message INTEGER NOT NULL,"
    "  recipient INTEGER NOT NULL,"
    "  number INTEGER NOT NULL,"
    "  at INTEGER NOT NULL,"
    "  outcome INTEGER NOT NULL," /* enum outcome_kind */
    "  stage INTEGER NOT NULL,"   /* enum relay_stage */
    "  code INTEGER NOT NULL,"
    "  enhanced TEXT,"
    "  reply TEXT,"
    "  remote TEXT,"
    "  tls TEXT,"
    "  next INTEGER,"
    "  PRIMARY KEY (message, recipient, number, at)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE usage ("
    "  account INTEGER NOT NULL,"
    "  period INTEGER NOT NULL," /* its length in seconds: 60, 3600, 86400 */
    "  start INTEGER NOT NULL,"
    "  messages INTEGER NOT NULL,"
    "  recipients INTEGER NOT NULL,"
    "  octets INTEGER NOT NULL,"
    "  delivered INTEGER NOT NULL,"
    "  failed INTEGER NOT NULL,"
    "  PRIMARY KEY (account, period, start)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX usage_age ON usage (period, start);"

    "CREATE TABLE errors ("
    "  account INTEGER NOT NULL,"
    "  address TEXT NOT NULL COLLATE NOCASE,"
    "  first INTEGER NOT NULL,"
    "  last INTEGER NOT NULL,"
    "  count INTEGER NOT NULL,"
    "  message INTEGER NOT NULL," /* the last one that failed */
    "  outcome INTEGER NOT NULL,"
    "  stage INTEGER NOT NULL,"
    "  code INTEGER NOT NULL,"
    "  enhanced TEXT,"
    "  reply TEXT,"
    "  remote TEXT,"
    "  PRIMARY KEY (account, address)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX errors_address ON errors (address);"
    "CREATE INDEX errors_last ON errors (last);",
};

const size_t ledger_step_count = COUNT_OF(ledger_steps);
