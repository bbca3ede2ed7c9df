#include "tool/command.h"

#define END \
    {       \
        0   \
    }

const struct tool_option tool_global_options[] = {
    {"config", "FILE",
     "the server's configuration (default: $UTPOST_CONFIG, or " TOOL_CONFIG ")", false},
    {"socket", "PATH", "the service's socket (default: the one of the configuration)", false},
    {"json", NULL, "answer in JSON, for programs", false},
    {"help", NULL, "show what a command does, with examples", false},
    {"version", NULL, "show the version", false},
    END,
};

static const struct tool_option none[] = {END};

#define PEOPLE                                                                      \
    {"language", "TAG", "language of texts for people: en, sv, nb, de", false},     \
        {"time-zone", "NAME", "time zone of times for people: Europe/Oslo", false}, \
    {                                                                               \
        "contact", "ADDRESS", "where notices go", false                             \
    }

static const struct tool_option customer_options[] = {
    {"parent", "CUSTOMER", "the reseller that it is a customer of", false},
    PEOPLE,
    END,
};

static const struct tool_option customer_set_options[] = {
    {"name", "NAME", "a new name", false},
    {"parent", "CUSTOMER", "the reseller that it is a customer of; \"\": none", false},
    PEOPLE,
    END,
};

#define ACCOUNT                                                                                \
    {"senders", "RIGHT",                                                                       \
     "who it may send as: any, domains or exact (with --sender, or domains:a.org,b.org)",      \
     false},                                                                                   \
        {"sender", "DOMAIN|ADDRESS", "a permitted domain or address; may be repeated", true},  \
        {"max-recipients", "N", "recipients per message; 0: the server's limit", false},       \
        {"max-size", "SIZE", "largest message, as 25M; 0: the server's limit", false},         \
        {"expire-after", "TIME",                                                               \
         "how long mail is tried that cannot be delivered, as 5d; \"\": the server's", false}, \
        {"warn-after", "TIME",                                                                 \
         "when its sender is told that it waits, as 4h; never; \"\": the server's", false},    \
        {"profile", "NAME", "prudent: deliver slowly, for new lists; \"\": none", false},      \
        PEOPLE

static const struct tool_option plan_options[] = {
    {"start", "MOMENT", "when the first period begins; none: on each first of the month",
     false},
    {"end", "MOMENT", "from when on nothing is accepted; none: it does not end", false},
    {"once", NULL, "one period from start to end", false},
    {"monthly", NULL, "a period each month", false},
    {"credit", "AMOUNT", "added to the maximum: 10MB, 500; 0: none", false},
    {"credit-until", "MOMENT", "how long (the running period); none: as long as the plan",
     false},
    {"reset", NULL, "what was used until now counts no more", false},
    END,
};

static const struct tool_option account_options[] = {
    {"customer", "CUSTOMER", "whose account it is", false},
    ACCOUNT,
    END,
};

static const struct tool_option account_set_options[] = {
    {"login", "LOGIN", "a new login", false},
    {"customer", "CUSTOMER", "whose account it is", false},
    ACCOUNT,
    END,
};

static const struct tool_option account_list_options[] = {
    {"customer", "CUSTOMER", "only this customer's", false},
    END,
};

static const struct tool_option lock_options[] = {
    {"reason", "TEXT", "why, for people to read", false},
    {"for", "TIME", "for how long: 30m, 24h, 5d, 2w; without it, for good", false},
    END,
};

static const struct tool_option credential_options[] = {
    {"label", "TEXT", "what it is for: a device, a program", false},
    {"password-stdin", NULL, "read a chosen password from standard input", false},
    {"address", "CIDR", "sign in clients of this address or network", false},
    {"uid", "USER", "sign in this local user (a number or a name) at the local door", false},
    {"may-act-for", "LOGIN", "another account that it may act for; may be repeated", true},
    END,
};

static const struct tool_option owner_options[] = {
    {"account", "LOGIN", "the account whose rules are meant", false},
    {"customer", "CUSTOMER", "the customer whose rules are meant", false},
    END,
};

#define QUEUE_WHICH                                                                    \
    {"account", "LOGIN", "only this account's", false},                                \
        {"customer", "CUSTOMER", "only this customer's, with its customers'", false},  \
        {"domain", "DOMAIN", "only mail for this domain", false},                      \
    {                                                                                  \
        "older-than", "TIME", "only what was accepted longer ago: 30m, 24h, 5d", false \
    }

static const struct tool_option queue_options[] = {
    QUEUE_WHICH,
    {"state", "STATE",
     "only messages with a recipient that is queued, held, frozen, failed or expired", false},
    END,
};

static const struct tool_option order_options[] = {
    QUEUE_WHICH,
    {"all", NULL, "everything that is in the queue", false},
    END,
};

static const struct tool_option unlock_options[] = {
    {"release", NULL, "send what the lock has frozen", false},
    {"purge", NULL, "remove what the lock has frozen, without sending it", false},
    {"revoke-credentials", NULL, "take all its passwords and tokens away", false},
    END,
};

static const struct tool_option customer_unlock_options[] = {
    {"release", NULL, "send what the lock has frozen", false},
    {"purge", NULL, "remove what the lock has frozen, without sending it", false},
    END,
};

static const struct tool_option token_options[] = {
    {"label", "TEXT", "what it is for", false},
    END,
};

static const struct tool_option trace_options[] = {
    {"account", "LOGIN", "only messages of this account", false},
    {"limit", "N", "at most so many messages, newest first (5)", false},
    END,
};

static const struct tool_option messages_options[] = {
    {"account", "LOGIN", "only this account's", false},
    {"since", "TIME", "accepted within this time back from now: 30m, 24h, 5d, 2w (1d)", false},
    END,
};

static const struct tool_option locks_options[] = {
    {"account", "LOGIN", "those that this account is under, its customer's too", false},
    {"customer", "NAME", "those of the customer and of its accounts", false},
    {"all", NULL, "ended ones, too", false},
    END,
};

static const struct tool_option usage_options[] = {
    {"by", "PERIOD", "day (the default), hour or minute; days are of UTC", false},
    {"since", "TIME", "how far back: 24h, 5d, 2w (31 days, 2 days, 2 hours)", false},
    END,
};

static const struct tool_option config_options[] = {
    {"documented", NULL, "every key, with what it means, its range and default", false},
    END,
};

static const struct tool_option help_options[] = {
    {"manual", "PAGE", "write a manual page in roff: utpost.1, utpost.conf.5", false},
    END,
};

const struct tool_command tool_commands[] = {
    {"customer add", "NAME", 1, 1, customer_options, "add a customer",
     "A customer is who pays: it has accounts, a contact, a language. Resellers are customers"
     " that other customers have as --parent.",
     "customer add demo\n"
     "customer add \"Blue Web AB\" --language sv --time-zone Europe/Stockholm\n"
     "customer add shop-17 --parent \"Blue Web AB\" --contact owner@shop.example\n",
     customer_add},
    {"customer list", "", 0, 0, none, "list the customers", NULL, "customer list\n",
     customer_list},
    {"customer show", "NAME", 1, 1, none, "show one customer", "NAME may be an id, too.",
     "customer show demo\n", customer_show},
    {"customer set", "NAME", 1, 1, customer_set_options, "change a customer",
     "Only what is given is changed; \"\" takes a value away.",
     "customer set demo --contact owner@demo.example\ncustomer set demo --name Demo\n",
     customer_set},
    {"customer remove", "NAME", 1, 1, none, "remove a customer that has no accounts", NULL,
     "customer remove demo\n", customer_remove},
    {"customer lock", "NAME", 1, 1, lock_options, "lock all of a customer's accounts",
     "Its accounts, and those of its own customers, cannot send until it is unlocked.",
     "customer lock demo --reason \"unpaid since May\"\n", customer_lock},
    {"customer unlock", "NAME", 1, 1, customer_unlock_options, "lift a customer's lock",
     "Mail that was queued when it was locked stays frozen without --release or --purge.",
     "customer unlock demo --release\n", customer_unlock},

    {"account add", "LOGIN", 1, 1, account_options, "add an account",
     "An account is who sends: LOGIN is what its programs sign in with, an address or a plain"
     " name. Without --senders, an account whose login is an address may send as that address"
     " only. It cannot sign in before it has a credential: see credential add.",
     "account add anna@example.org --customer demo\n"
     "account add shop --customer demo --senders domains --sender shop.example\n"
     "account add web1 --customer demo --senders any --max-recipients 100 --max-size 25M\n",
     account_add},
    {"account list", "", 0, 0, account_list_options, "list the accounts", NULL,
     "account list\naccount list --customer demo\n", account_list},
    {"account show", "LOGIN", 1, 1, none, "show one account", "LOGIN may be an id, too.",
     "account show anna@example.org\n", account_show},
    {"account set", "LOGIN", 1, 1, account_set_options, "change an account",
     "Only what is given is changed; \"\" takes a value away. --sender replaces the whole "
     "list.",
     "account set shop --senders exact --sender info@shop.example\n"
     "account set shop --max-recipients 50\n",
     account_set},
    {"account remove", "LOGIN", 1, 1, none, "remove an account and its credentials", NULL,
     "account remove shop\n", account_remove},
    {"account lock", "LOGIN", 1, 1, lock_options, "stop an account from sending", NULL,
     "account lock shop --reason \"hijacked\"\naccount lock shop --for 24h\n", account_lock},
    {"account plan", "LOGIN", 1, 1, plan_options,
     "show or change from when to when an account's volume counts",
     "Rules with /month count in periods: calendar months, or months from the plan's start on,"
     " or one period from its start to its end. MOMENT is a day (2026-12-01) or a time on a day"
     " (2026-12-01T08:30) as the clock shows it in the account's time zone, or now; none takes"
     " it away.",
     "account plan shop\n"
     "account plan shop --start 2026-12-01 --end 2027-12-01\n"
     "account plan shop --start now --end 2026-12-31 --once\n"
     "account plan shop --credit 10MB\n"
     "account plan shop --reset\n",
     account_plan},
    {"account unlock", "LOGIN", 1, 1, unlock_options, "lift an account's lock",
     "Mail that was queued when it was locked stays frozen without --release or --purge; what "
     "is accepted afterwards is sent.",
     "account unlock shop --release\n"
     "account unlock shop --purge --revoke-credentials\n",
     account_unlock},

    {"credential add", "LOGIN", 1, 1, credential_options,
     "let a program, an address or a user sign in to an account",
     "Without an option, a secret is generated and shown once: give each device or program one "
     "of"
     " its own, so that it can be revoked alone. Addresses count on listeners with"
     " address-credentials = yes.",
     "credential add anna@example.org --label phone\n"
     "credential add anna@example.org --password-stdin <password-file\n"
     "credential add shop --address 192.0.2.0/28\n"
     "credential add web1 --uid www-data --may-act-for shop\n",
     credential_add},
    {"credential list", "LOGIN", 1, 1, none, "list an account's credentials", NULL,
     "credential list anna@example.org\n", credential_list},
    {"credential revoke", "ID", 1, 1, none, "take a credential away",
     "It no longer signs in; sessions that it signed in may send nothing more.",
     "credential revoke 17\n", credential_revoke},

    {"preset list", "", 0, 0, none, "list the presets",
     "A preset is the rules of a whole service under one name.", "preset list\n", preset_list},
    {"preset show", "NAME", 1, 1, none, "show the rules of a preset", NULL,
     "preset show web-hosting\n", preset_show},
    {"preset apply", "NAME", 1, 1, owner_options, "give an account or a customer a preset",
     "It takes the place of the preset before. An account without one has its customer's. "
     "The rules of a preset for a whole customer count all of its accounts only when the "
     "customer has the preset. NAME may be none.",
     "preset apply web-hosting --customer demo\n"
     "preset apply personal-mailbox --account anna@example.org\n"
     "preset apply none --account anna@example.org\n",
     preset_apply},
    {"rule list", "", 0, 0, owner_options, "list the rules that apply, and where they are from",
     NULL, "rule list --account anna@example.org\nrule list --customer demo\n", rule_list},
    {"rule add", "RULE", 1, 6, owner_options, "add a rule",
     "RULE is SCOPE UNIT MAX[/WINDOW] [attempts] ACTION. SCOPE: message, credential, account, "
     "customer, sender-domain, host. UNIT: messages, recipients, bytes, new-recipients, "
     "refusals, bounces, complaints. WINDOW: 1s to 31d, or month. ACTION: defer, reject, pace, "
     "suspend, notify, lock [DURATION]. A rule of the account takes the place of the preset's "
     "of the same scope, unit and window, and of its own one with the same action, too.",
     "rule add account recipients 2000/24h defer --account anna@example.org\n"
     "rule add customer recipients 3000/1h defer --customer demo\n"
     "rule add account messages 500/30m lock 24h --customer demo\n",
     rule_add},
    {"rule remove", "RULE", 1, 6, owner_options, "remove a rule that was added", NULL,
     "rule remove account recipients 2000/24h defer --account anna@example.org\n", rule_remove},
    {"quota", "LOGIN", 1, 1, none, "show how much of each limit an account has used",
     "As it is at this moment: used, left, and when there is room again.",
     "quota anna@example.org\nquota anna@example.org --json\n", quota_show},

    {"lock list", "", 0, 0, locks_options, "list who is locked, by a rule or an operator",
     "Ended locks are kept as long as [retention] evidence says.",
     "lock list\nlock list --all --account anna@example.org\n", lock_list},
    {"lock show", "ID", 1, 1, none, "show a lock with its evidence",
     "Which rule it was and its numbers, and what the message log knew when the account was"
     " locked: client addresses, names, credentials, scripts, senders, subjects, recipients, "
     "and"
     " how many of them failed. Unlock with account unlock or customer unlock.",
     "lock show 0abc1def2gh3j\n", lock_show},

    {"queue list", "", 0, 0, queue_options, "list the messages that are not delivered yet",
     "Recipients that failed or expired stay until they have been reported.",
     "queue list\nqueue list --state failed\nqueue list --account anna@example.org\n",
     queue_list},
    {"queue show", "ID", 1, 1, none, "show one message and all its recipients", NULL,
     "queue show 0abc1def2gh3j\n", queue_show},
    {"queue why", "WHAT", 1, 1, none,
     "tell why mail is still in the queue, what comes next and what to do",
     "WHAT is a queue id, a Message-ID, an address or a domain. Of an address the last "
     "messages to it, or from it. Of a domain what stands in the way of "
     "all mail for it. The whole story of a message: trace.",
     "queue why 0abc1def2gh3j\nqueue why bo@example.net\nqueue why example.net\n", queue_why},
    {"queue hold", "[ID]...", 0, 1000, order_options, "do not send mail until it is released",
     "By queue id, account, customer, domain and age; all that is given must fit. A whole "
     "account, customer or domain is held with what comes, until it is released.",
     "queue hold 0abc1def2gh3j\nqueue hold --domain example.net\n"
     "queue hold --account shop --older-than 24h\n",
     queue_hold},
    {"queue release", "[ID]...", 0, 1000, order_options, "send what was held, or was frozen",
     "Mail of an account that is locked stays where it is: see account unlock.",
     "queue release 0abc1def2gh3j\nqueue release --domain example.net\n", queue_release},
    {"queue retry", "[ID]...", 0, 1000, order_options,
     "try now what waits for its next attempt",
     "Mail that a rule's pace keeps back, and what is held, is left alone.",
     "queue retry --domain example.net\nqueue retry --all\n", queue_retry},
    {"queue remove", "[ID]...", 0, 1000, order_options, "take mail out of the queue for good",
     "It is not sent and nobody is told; trace shows who removed it. What is being sent at "
     "that moment is left alone.",
     "queue remove 0abc1def2gh3j\nqueue remove --account shop --older-than 5d\n", queue_remove},

    {"token add", "SCOPE", 1, 1, token_options, "let a program use the API over the network",
     "SCOPE is admin (everything), read (looking at everything but tokens) or account:LOGIN "
     "(that account's"
     " messages, use and errors, and sending as it). The token is shown once. It counts where "
     "[api] listen says.",
     "token add read --label monitoring\ntoken add account:anna@example.org\n", token_add},
    {"token list", "", 0, 0, none, "list the tokens of the API", NULL, "token list\n",
     token_list},
    {"token revoke", "ID", 1, 1, none, "take a token away", NULL, "token revoke 3\n",
     token_revoke},

    {"trace", "ID|ADDRESS", 1, 1, trace_options, "tell everything that happened to a message",
     "The id is the one of the 250 answer, or the whole Message-ID. An address is looked for as"
     " sender and as recipient. Tells who gave it to the service, each attempt with what the"
     " other server said, what comes next and what to do.",
     "trace 0abc1def2gh3j\ntrace \"<20261122.1@shop.example>\"\n"
     "trace bo@example.net --account anna@example.org --limit 20\n",
     trace_show},
    {"messages list", "", 0, 0, messages_options, "list the messages that were accepted", NULL,
     "messages list\nmessages list --account anna@example.org --since 5d\n", messages_list},
    {"usage", "LOGIN", 1, 1, usage_options, "show how much an account has sent", NULL,
     "usage anna@example.org\nusage shop --by hour --since 1d\n", usage_show},
    {"errors", "LOGIN", 1, 1, none, "list the addresses that an account could not reach",
     "Those that failed for good or were given up, with the last reason.",
     "errors anna@example.org\n", errors_list},
    {"erase", "ADDRESS", 1, 1, none, "remove an address from the message log",
     "As recipient with all attempts, as sender, from the lists of errors and the evidence of "
     "locks. Numbers of use"
     " stay. The journals lose it when their segments are deleted, which happens by itself.",
     "erase bo@example.net\n", erase_address},

    {"status", "", 0, 0, none, "show what the service does",
     "Ends with 1 when a part of the service does not answer.", "status\nstatus --json\n",
     status_show},
    {"config show", "", 0, 0, config_options, "show the configuration as it takes effect",
     "Read from the file. With --json: what the running service has in effect.",
     "config show\nconfig show --documented\n", config_show},
    {"config check", "[FILE]", 0, 1, none, "check the configuration", NULL,
     "config check\nconfig check /etc/utpost/utpost.conf.new\n", config_check},
    {"help", "[COMMAND]", 0, 2, help_options, "show what a command does, with examples", NULL,
     "help account add\n", help_show},
    {"version", "", 0, 0, none, "show the version", NULL, "version\n", version_show},
};

const size_t tool_command_count = COUNT_OF(tool_commands);
