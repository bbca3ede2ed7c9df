/* ledger_read_inside: what the files that ask the ledger share. */
#ifndef CONTROL_LEDGER_READ_INSIDE_H
#define CONTROL_LEDGER_READ_INSIDE_H

#include "control/ledger_read.h"
#include "control/sql.h"

struct ledger_reader {
    sqlite3 *db;
};

#endif
