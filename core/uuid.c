#include "uuid.h"

#include <openssl/rand.h>
#include <string.h>
#include <time.h>

/* Random bytes are bought in bulk: one call of the generator for 512 ids. */
static uint8_t pool[4096];
static size_t pool_used = sizeof(pool);
static uint64_t last_stamp; /* milliseconds << 12 | sub-millisecond fraction, of the newest id */

void tf_uuid_after_fork(void)
{
    pool_used = sizeof(pool);
    memset(pool, 0, sizeof(pool));
}

static uint64_t stamp_now(void)
{
    struct timespec now;
    uint64_t ms, fraction;

    clock_gettime(CLOCK_REALTIME, &now);
    ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    fraction = ((uint64_t)now.tv_nsec % 1000000) * 4096 / 1000000;
    return ms << 12 | fraction;
}

bool tf_uuid7(uint8_t id[16])
{
    uint64_t stamp = stamp_now(), ms;

    if (stamp <= last_stamp) {
        stamp = last_stamp + 1;
    }
    if (pool_used + 8 > sizeof(pool)) {
        if (RAND_bytes(pool, sizeof(pool)) != 1) {
            return false;
        }
        pool_used = 0;
    }
    last_stamp = stamp;
    ms = stamp >> 12;
    for (int i = 0; i < 6; i++) {
        id[i] = (uint8_t)(ms >> (40 - 8 * i));
    }
    id[6] = (uint8_t)(0x70 | ((stamp >> 8) & 0x0f));
    id[7] = (uint8_t)stamp;
    memcpy(id + 8, pool + pool_used, 8);
    pool_used += 8;
    id[8] = (uint8_t)(0x80 | (id[8] & 0x3f));
    return true;
}

void tf_uuid_format(const uint8_t id[16], char out[TF_UUID_TEXT_LEN])
{
    static const char hex[] = "0123456789abcdef";

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }
        *out++ = hex[id[i] >> 4];
        *out++ = hex[id[i] & 15];
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

bool tf_uuid_parse(const char *text, size_t len, uint8_t id[16])
{
    size_t n = 0;

    if (len != TF_UUID_TEXT_LEN) {
        return false;
    }
    for (size_t i = 0; i < len;) {
        int high, low;

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i++] != '-') {
                return false;
            }
        }
        high = hex_value(text[i]);
        low = hex_value(text[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        id[n++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    return true;
}

void tf_uuid_floor(int64_t unix_ms, uint8_t id[16])
{
    uint64_t ms = unix_ms < 0 ? 0 : (uint64_t)unix_ms;

    memset(id, 0, 16);
    for (int i = 0; i < 6; i++) {
        id[i] = (uint8_t)(ms >> (40 - 8 * i));
    }
}
