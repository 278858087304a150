/* lockout.h: counts wrong passwords by name and by address in a table of fixed size, so that guessing stops
 * after a while, for names that nobody has as well. No clock, no lock, no allocation of its own: the table
 * may be shared memory. */
#ifndef TF_LOCKOUT_H
#define TF_LOCKOUT_H

#include <stddef.h>
#include <stdint.h>

#define TF_LOCKOUT_SETS 512
#define TF_LOCKOUT_WAYS 8 /* of a full set, the entry that was quiet longest gives way */

typedef struct {
    uint64_t key; /* 0: free */
    uint32_t count;
    uint32_t last; /* seconds since 1970, of the newest attempt */
} tf_lockout_entry_t;

/* All zero bytes: empty. */
typedef struct {
    tf_lockout_entry_t entries[TF_LOCKOUT_SETS][TF_LOCKOUT_WAYS];
} tf_lockout_t;

/* The key of a name (any case) or of an address as text; kind keeps the two apart ('n', 'a'). Of an IPv6
 * address the first 64 bits count: one caller usually has them all. Never 0. */
uint64_t tf_lockout_key(char kind, const char *text, size_t len);

/* An attempt. Returns 0 and counts it, or, when `allowed` were made, each less than `window` seconds after
 * the one before, the seconds to wait. Count first and check the password then: so attempts made at the same
 * time cannot pass. */
uint32_t tf_lockout_take(tf_lockout_t *table, uint64_t key, uint32_t allowed, uint32_t window, uint32_t now);

/* The attempt was not a wrong password. */
void tf_lockout_give_back(tf_lockout_t *table, uint64_t key);

/* The password was right: nothing is counted any more. */
void tf_lockout_clear(tf_lockout_t *table, uint64_t key);

#endif
