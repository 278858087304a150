#include "lockout.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/sha.h>
#include <string.h>

#define KEY_TEXT_MAX 256 /* bytes; a name or address that is longer counts by its beginning */

uint64_t tf_lockout_key(char kind, const char *text, size_t len)
{
    char folded[1 + KEY_TEXT_MAX];
    char address[INET6_ADDRSTRLEN];
    uint8_t hash[SHA256_DIGEST_LENGTH];
    struct in6_addr ip;
    uint64_t key;

    if (len > KEY_TEXT_MAX) {
        len = KEY_TEXT_MAX;
    }
    folded[0] = kind;
    for (size_t i = 0; i < len; i++) {
        folded[1 + i] = (char)tolower((unsigned char)text[i]);
    }
    if (kind == 'a' && len < sizeof(address)) {
        memcpy(address, text, len);
        address[len] = '\0';
        if (inet_pton(AF_INET6, address, &ip) == 1) {
            if (IN6_IS_ADDR_V4MAPPED(&ip)) { /* a socket for both: ::ffff:10.0.0.1 */
                inet_ntop(AF_INET, &ip.s6_addr[12], folded + 1, KEY_TEXT_MAX);
                len = strlen(folded + 1);
            } else {
                memcpy(folded + 1, &ip, 8);
                len = 8;
            }
        }
    }
    SHA256((const uint8_t *)folded, 1 + len, hash);
    memcpy(&key, hash, sizeof(key));
    return key ? key : 1;
}

static tf_lockout_entry_t *find(tf_lockout_t *table, uint64_t key)
{
    tf_lockout_entry_t *set = table->entries[key % TF_LOCKOUT_SETS];

    for (int i = 0; i < TF_LOCKOUT_WAYS; i++) {
        if (set[i].key == key) {
            return &set[i];
        }
    }
    return NULL;
}

static tf_lockout_entry_t *make(tf_lockout_t *table, uint64_t key)
{
    tf_lockout_entry_t *set = table->entries[key % TF_LOCKOUT_SETS], *oldest = &set[0];

    for (int i = 0; i < TF_LOCKOUT_WAYS; i++) {
        if (set[i].key == 0) {
            oldest = &set[i];
            break;
        }
        if (set[i].last < oldest->last) {
            oldest = &set[i];
        }
    }
    *oldest = (tf_lockout_entry_t){.key = key};
    return oldest;
}

uint32_t tf_lockout_take(tf_lockout_t *table, uint64_t key, uint32_t allowed, uint32_t window, uint32_t now)
{
    tf_lockout_entry_t *e = find(table, key);

    if (e == NULL) {
        e = make(table, key);
    }
    /* a clock that went back must not lock for longer than the window */
    if (now < e->last) {
        e->last = now;
    }
    if (now - e->last >= window) {
        e->count = 0;
    }
    if (e->count >= allowed) {
        return e->last + window - now;
    }
    e->count++;
    e->last = now;
    return 0;
}

void tf_lockout_give_back(tf_lockout_t *table, uint64_t key)
{
    tf_lockout_entry_t *e = find(table, key);

    if (e != NULL && e->count > 0) {
        e->count--;
    }
}

void tf_lockout_clear(tf_lockout_t *table, uint64_t key)
{
    tf_lockout_entry_t *e = find(table, key);

    if (e != NULL) {
        *e = (tf_lockout_entry_t){0};
    }
}
