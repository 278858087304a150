/* Cron expressions and the times they give: nothing crashes, an error is said, and what fires, fires later
 * than asked and at the same moments whether one asks step by step or in between. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"};
    static tf_zones_t *zones;
    char error[200] = "";
    const tf_zone_t *zone;
    int64_t at, next, again;
    tf_cron_t cron;

    if (zones == NULL) {
        zones = tf_zones_load(TF_ZONE_DIRECTORY);
    }
    if (size < 6) {
        return 0;
    }
    tf_zone_free(tf_zone_read(data, size));
    if (!tf_cron_parse(&cron, (const char *)data + 5, size - 5, error, sizeof(error))) {
        if (error[0] == '\0') {
            abort();
        }
        return 0;
    }
    zone = tf_zones_find(zones, names[data[0] % 4], strlen(names[data[0] % 4]));
    at = (int64_t)((uint32_t)data[1] << 24 | data[2] << 16 | data[3] << 8 | data[4]) & 0x7fffffff;
    for (int i = 0; i < 10 && tf_cron_next(&cron, zone, at, &next); i++) {
        if (next <= at || !tf_cron_next(&cron, zone, at + (next - at) / 2, &again) || again != next) {
            abort();
        }
        at = next;
    }
    return 0;
}
