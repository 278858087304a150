/* uuid.h: UUIDv7 (RFC 9562 section 5.7, method 3: sub-millisecond time in rand_a), so ids made by one process
 * ascend. */
#ifndef TF_UUID_H
#define TF_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TF_UUID_TEXT_LEN 36

/* A new id for now. Ascending within the process even when the clock steps back. Randomness from OpenSSL;
 * false only if that fails. Not thread-safe. */
bool tf_uuid7(uint8_t id[16]);

/* Forget the randomness buffered before a fork: call in the child. */
void tf_uuid_after_fork(void);

/* Lower-case text, 36 bytes, no NUL. */
void tf_uuid_format(const uint8_t id[16], char out[TF_UUID_TEXT_LEN]);

/* Any UUID version; 8-4-4-4-12 hex digits of either case, nothing else. */
bool tf_uuid_parse(const char *text, size_t len, uint8_t id[16]);

/* The smallest UUIDv7-ordered id of that moment (milliseconds since 1970), for ranges. */
void tf_uuid_floor(int64_t unix_ms, uint8_t id[16]);

#endif
