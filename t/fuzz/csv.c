/* Any bytes as a CSV file. The first byte says how many bytes a read gives at most, so that records break
 * across reads everywhere; what comes out must not depend on it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "dataset/csv.h"

typedef struct {
    const uint8_t *data;
    size_t len;
    size_t chunk;
} source_t;

static ssize_t source_read(void *data, void *buf, size_t size)
{
    source_t *s = data;
    size_t n = s->len < s->chunk ? s->len : s->chunk;

    n = n < size ? n : size;
    if (n > 0) {
        memcpy(buf, s->data, n);
    }
    s->data += n;
    s->len -= n;
    return (ssize_t)n;
}

/* Reads all of it; a checksum of records, lines and the end. */
static uint64_t digest(const uint8_t *data, size_t len, size_t chunk)
{
    source_t source = {data, len, chunk};
    tfw_csv_t *csv = tfw_csv_new(source_read, &source);
    tfw_csv_status_t status;
    const tf_str_t *fields;
    uint64_t sum = 14695981039346656037u;
    size_t count, width = 0, i, k;

    if (csv == NULL) {
        abort();
    }
    while ((status = tfw_csv_next(csv)) == TFW_CSV_RECORD) {
        fields = tfw_csv_fields(csv, &count);
        if (count == 0 || count > TFW_CSV_COLUMNS_MAX || (width != 0 && count != width)) {
            abort();
        }
        width = count;
        sum = (sum ^ (uint64_t)tfw_csv_line(csv)) * 1099511628211u;
        for (i = 0; i < count; i++) {
            if (fields[i].len > TFW_CSV_FIELD_MAX ||
                tf_utf8_span(fields[i].data, fields[i].len) != fields[i].len) {
                abort();
            }
            for (k = 0; k < fields[i].len; k++) {
                sum = (sum ^ (uint8_t)fields[i].data[k]) * 1099511628211u;
            }
            sum = (sum ^ 256) * 1099511628211u;
        }
    }
    if ((status == TFW_CSV_END) != (tfw_csv_error(csv)[0] == '\0') || status == TFW_CSV_READ_FAILED) {
        abort();
    }
    sum = sum * 31 + (uint64_t)status;
    tfw_csv_free(csv);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && digest(data + 1, size - 1, (size_t)data[0] + 1) != digest(data + 1, size - 1, SIZE_MAX)) {
        abort();
    }
    return 0;
}
