#include "control/schema.h"

/* Ids are never given twice (AUTOINCREMENT): journals name them for ever. Times are
 * microseconds since 1970 UTC. Names and logins are unique without regard to ASCII case. */
const char *const schema_steps[] = {
    /* 1: the directory. */
    "CREATE TABLE meta ("
    "  id INTEGER PRIMARY KEY CHECK (id = 1),"
    "  version INTEGER NOT NULL" /* of the directory: one more with each change */
    ") STRICT;"
    "INSERT INTO meta (id, version) VALUES (1, 0);"

    "CREATE TABLE customers ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  parent INTEGER REFERENCES customers (id)," /* the reseller */
    "  name TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    "  language TEXT,"
    "  time_zone TEXT,"
    "  contact TEXT,"
    "  state INTEGER NOT NULL DEFAULT 0," /* enum account_state */
    "  until INTEGER,"                    /* end of a lock; NULL: none */
    "  reason TEXT,"
    "  created INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX customers_parent ON customers (parent);"

    "CREATE TABLE accounts ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  customer INTEGER NOT NULL REFERENCES customers (id),"
    "  login TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    "  language TEXT,"
    "  time_zone TEXT,"
    "  contact TEXT,"
    "  state INTEGER NOT NULL DEFAULT 0,"
    "  until INTEGER,"
    "  reason TEXT,"
    "  sender_right INTEGER NOT NULL," /* enum sender_right */
    "  max_recipients INTEGER NOT NULL DEFAULT 0,"
    "  max_size INTEGER NOT NULL DEFAULT 0,"
    "  created INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX accounts_customer ON accounts (customer);"

    "CREATE TABLE senders ("
    "  account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,"
    "  sender TEXT NOT NULL," /* canonical domain or address */
    "  PRIMARY KEY (account, sender)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE credentials ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,"
    "  kind INTEGER NOT NULL," /* enum credential_kind */
    "  label TEXT,"
    "  scheme TEXT,"
    "  verifier BLOB,"
    "  cidr TEXT,"
    "  uid INTEGER,"
    "  created INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX credentials_account ON credentials (account);"
    "CREATE INDEX credentials_cidr ON credentials (cidr) WHERE cidr IS NOT NULL;"
    "CREATE INDEX credentials_uid ON credentials (uid) WHERE uid IS NOT NULL;"

    "CREATE TABLE may_act_for ("
    "  credential INTEGER NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,"
    "  account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,"
    "  PRIMARY KEY (credential, account)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX may_act_for_account ON may_act_for (account);"

    /* Changes that are committed here and perhaps not yet in the control journal. */
    "CREATE TABLE outbox ("
    "  version INTEGER PRIMARY KEY,"
    "  customer INTEGER NOT NULL,"
    "  account INTEGER NOT NULL,"
    "  credential INTEGER NOT NULL,"
    "  fields BLOB NOT NULL" /* of the RECORD_DIRECTORY */
    ") STRICT;",

    /* 2: rules. A rule is a line of text (policy/rule), a preset the name of one. */
    "ALTER TABLE customers ADD COLUMN preset TEXT;"
    "ALTER TABLE accounts ADD COLUMN preset TEXT;"

    "CREATE TABLE customer_rules ("
    "  customer INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,"
    "  position INTEGER NOT NULL,"
    "  rule TEXT NOT NULL,"
    "  PRIMARY KEY (customer, position)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE account_rules ("
    "  account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,"
    "  position INTEGER NOT NULL,"
    "  rule TEXT NOT NULL,"
    "  PRIMARY KEY (account, position)"
    ") STRICT, WITHOUT ROWID;",

    /* 3: tokens of the API over TCP. */
    "CREATE TABLE tokens ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  hash BLOB NOT NULL UNIQUE," /* BLAKE2b of the token */
    "  scope INTEGER NOT NULL,"    /* enum token_scope */
    "  account INTEGER REFERENCES accounts (id) ON DELETE CASCADE,"
    "  label TEXT,"
    "  created INTEGER NOT NULL"
    ") STRICT;"
    "CREATE INDEX tokens_account ON tokens (account) WHERE account IS NOT NULL;",

    /* 4: locks by rule that were made under an older version of the directory are lifted. */
    "ALTER TABLE accounts ADD COLUMN unlocked INTEGER NOT NULL DEFAULT 0;",

    /* 5: plans, profiles; unlocks of whole customers. */
    "ALTER TABLE accounts ADD COLUMN plan_start INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE accounts ADD COLUMN plan_end INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE accounts ADD COLUMN plan_once INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE accounts ADD COLUMN plan_reset INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE accounts ADD COLUMN plan_credit INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE accounts ADD COLUMN plan_credit_until INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE accounts ADD COLUMN profile TEXT;"
    "ALTER TABLE customers ADD COLUMN unlocked INTEGER NOT NULL DEFAULT 0;",

    /* 6: patience with mail that cannot be delivered, in microseconds; 0: the server's; -1 (of
     * warnings): never. */
    "ALTER TABLE accounts ADD COLUMN expire_after INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE accounts ADD COLUMN warn_after INTEGER NOT NULL DEFAULT 0;",

    /* 7: commands to the data plane that are committed here and perhaps not yet in the control
     * journal. */
    "CREATE TABLE commands ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  customer INTEGER NOT NULL,"
    "  account INTEGER NOT NULL,"
    "  fields BLOB NOT NULL" /* of the RECORD_COMMAND */
    ") STRICT;",
};

const size_t schema_step_count = COUNT_OF(schema_steps);
