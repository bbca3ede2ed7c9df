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

    /* 2: locks with their evidence; the journal of control, and who is who as it says. */
    "INSERT INTO positions VALUES (2, 0);"
    "ALTER TABLE messages ADD COLUMN subject TEXT;" /* its beginning, as it was sent */

    /* As they were last, also when they are gone. */
    "CREATE TABLE customers ("
    "  id INTEGER PRIMARY KEY,"
    "  parent INTEGER NOT NULL," /* 0: none */
    "  name TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX customers_parent ON customers (parent);"
    "CREATE TABLE accounts ("
    "  id INTEGER PRIMARY KEY,"
    "  customer INTEGER NOT NULL,"
    "  login TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX accounts_customer ON accounts (customer);"
    "CREATE TABLE credentials ("
    "  id INTEGER PRIMARY KEY,"
    "  label TEXT"
    ") STRICT;"

    "CREATE TABLE locks ("
    "  id INTEGER PRIMARY KEY,"
    "  kind INTEGER NOT NULL," /* enum ledger_lock_kind */
    "  customer INTEGER NOT NULL,"
    "  account INTEGER NOT NULL," /* 0: all of the customer's */
    "  name TEXT NOT NULL,"       /* login, or the customer's name, at that time */
    "  since INTEGER NOT NULL,"
    "  until INTEGER,"            /* NULL: for good */
    "  version INTEGER NOT NULL," /* of the directory, when it was made */
    "  rule TEXT,"
    "  used INTEGER NOT NULL,"
    "  reason TEXT,"
    "  made_by TEXT,"
    "  ended INTEGER,"
    "  end_kind INTEGER NOT NULL DEFAULT 0," /* enum ledger_lock_end */
    "  ended_by TEXT,"
    "  gathered INTEGER,"                    /* the evidence; NULL: not yet */
    "  looked_from INTEGER,"                 /* messages since then are in it */
    "  messages INTEGER NOT NULL DEFAULT 0," /* of the time that was looked at */
    "  recipients INTEGER NOT NULL DEFAULT 0,"
    "  delivered INTEGER NOT NULL DEFAULT 0,"
    "  failed INTEGER NOT NULL DEFAULT 0"
    ") STRICT;"
    "CREATE INDEX locks_account ON locks (account, id);"
    "CREATE INDEX locks_customer ON locks (customer, id);"
    "CREATE INDEX locks_open ON locks (until) WHERE ended IS NULL;"
    "CREATE INDEX locks_bare ON locks (id) WHERE gathered IS NULL;"

    "CREATE TABLE evidence ("
    "  lock INTEGER NOT NULL,"
    "  kind INTEGER NOT NULL," /* enum ledger_evidence_kind */
    "  value TEXT NOT NULL,"
    "  count INTEGER NOT NULL,"
    "  first INTEGER NOT NULL,"
    "  last INTEGER NOT NULL,"
    "  PRIMARY KEY (lock, kind, value)"
    ") STRICT, WITHOUT ROWID;"

    /* Locks by rule that were made under older versions of the directory were lifted by it. */
    "CREATE TABLE unlocks ("
    "  is_customer INTEGER NOT NULL,"
    "  owner INTEGER NOT NULL,"
    "  version INTEGER NOT NULL,"
    "  at INTEGER NOT NULL,"
    "  by TEXT,"
    "  PRIMARY KEY (is_customer, owner, version)"
    ") STRICT, WITHOUT ROWID;",

    /* 3: the scripts of `sendmail`. */
    "ALTER TABLE messages ADD COLUMN script TEXT;"
    "ALTER TABLE messages ADD COLUMN directory TEXT;",

    /* 4: what senders were told of recipients. */
    "CREATE TABLE reports ("
    "  message INTEGER NOT NULL,"
    "  recipient INTEGER NOT NULL,"
    "  report INTEGER NOT NULL," /* enum report */
    "  at INTEGER NOT NULL,"
    "  notification INTEGER," /* its message; NULL: nobody was told */
    "  PRIMARY KEY (message, recipient, report)"
    ") STRICT, WITHOUT ROWID;",

    /* 5: what people are told by mail. */
    "ALTER TABLE locks ADD COLUMN told INTEGER NOT NULL DEFAULT 0;" /* 1: begin, 2: end, too */
    "CREATE INDEX locks_untold ON locks (told) WHERE told < 2;"
    "CREATE TABLE notices ("
    "  event INTEGER NOT NULL,"  /* a lock, or a record of a limit that was passed */
    "  kind INTEGER NOT NULL,"   /* enum notice_kind */
    "  reader INTEGER NOT NULL," /* enum notice_reader */
    "  customer INTEGER NOT NULL,"
    "  account INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  at INTEGER NOT NULL,"
    "  rule TEXT,"
    "  used INTEGER NOT NULL,"
    "  max INTEGER NOT NULL,"
    "  reason TEXT,"
    "  state INTEGER NOT NULL DEFAULT 0," /* enum ledger_notice_state */
    "  tried INTEGER,"                    /* for the first time */
    "  next INTEGER NOT NULL DEFAULT 0,"
    "  tries INTEGER NOT NULL DEFAULT 0,"
    "  address TEXT,"
    "  message INTEGER," /* its queue id */
    "  answer TEXT,"
    "  PRIMARY KEY (event, kind, reader)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX notices_waiting ON notices (next) WHERE state = 0;",

    /* 5: what was refused by limits; evidence, too. */
    "CREATE TABLE refusals ("
    "  account INTEGER NOT NULL,"
    "  minute INTEGER NOT NULL,"
    "  rule TEXT NOT NULL," /* the last that refused in a second */
    "  count INTEGER NOT NULL,"
    "  first INTEGER NOT NULL,"
    "  last INTEGER NOT NULL,"
    "  PRIMARY KEY (account, minute, rule)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX refusals_age ON refusals (minute);",
};

const size_t ledger_step_count = COUNT_OF(ledger_steps);
