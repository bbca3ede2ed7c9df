/* directory_codec: the directory's entities as fields of records, and as nodes in memory.
 *
 * A node is one block of memory: the entity's struct, whose slices point into a copy of the
 * fields behind it. For the files of the directory only. */
#ifndef MODEL_DIRECTORY_CODEC_H
#define MODEL_DIRECTORY_CODEC_H

#include "base/list.h"
#include "model/directory.h"

/* Family, prefix and masked bytes of a CIDR, or a user id, after a letter that tells which. */
enum { DIRECTORY_DOOR_MAX = 1 + 1 + 1 + 16 };

/* What every node begins with. */
struct directory_node {
    slice fields;
    bool is_stale; /* not yet written again in the running restatement */
};

struct customer_node {
    struct directory_node node;
    struct directory_customer value;
    const struct zone *zone; /* the state's, of value.time_zone; NULL: it has none */
};

struct account_node {
    struct directory_node node;
    struct directory_account value;
    const struct zone *zone; /* as a customer's */
    slice login_key;         /* in lower case */
    struct list credentials;
};

struct credential_node {
    struct directory_node node;
    struct directory_credential value;
    struct list of_account; /* in account_node.credentials */
    struct account_node *account;
    slice door; /* ADDRESS and UID: the key under which it signs in; else empty */
    struct credential_node *door_next; /* another credential with the same door */
    char door_bytes[DIRECTORY_DOOR_MAX];
};

/* What a change is about. */
struct directory_change {
    uint64_t version;
    enum directory_entity entity;
    bool is_removal;
    uint64_t key;
};

/* 0 or -EBADMSG: not a change, or of an entity that is not known. */
int directory_change_parse(slice fields, struct directory_change *out) MUST_USE NONNULL(2);

/* New nodes from fields, which are copied; released with free(). 0 or -EBADMSG: a field that is
 * needed is missing, or a value is out of range. */
int customer_node_new(slice fields, struct customer_node **out) MUST_USE NONNULL(2);
int account_node_new(slice fields, struct account_node **out) MUST_USE NONNULL(2);
int credential_node_new(slice fields, struct credential_node **out) MUST_USE NONNULL(2);

/* The key of a door: room for DIRECTORY_DOOR_MAX bytes; bits of the address behind the prefix
 * do not count. */
slice directory_door_of_address(const struct address *a, uint8_t prefix,
                                char key[DIRECTORY_DOOR_MAX]) NONNULL(1, 3);
slice directory_door_of_uid(uint32_t uid, char key[DIRECTORY_DOOR_MAX]) NONNULL(2);

#endif
