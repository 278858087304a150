/* Any bytes as a CSV file. The first byte says how many bytes a read gives at most, so that records break
 * across reads everywhere; what comes out must not depend on it. */
#include <stdint.h>
#include <stdlib.h>

#include "dataset/csv.h"
#include "pieces.h"

/* Reads all of it; a checksum of records, lines and the end. */
static uint64_t digest(const uint8_t *data, size_t len, size_t piece)
{
    pieces_t pieces = {data, len, piece};
    tfw_csv_t *csv = tfw_csv_new(pieces_read, &pieces);
    tfw_csv_status_t status;
    const tf_str_t *fields;
    uint64_t sum = SUM_BEGIN;
    size_t count, width = 0;

    if (csv == NULL) {
        abort();
    }
    while ((status = tfw_csv_next(csv)) == TFW_CSV_RECORD) {
        fields = tfw_csv_fields(csv, &count);
        if (count == 0 || count > TFW_CSV_COLUMNS_MAX || (width != 0 && count != width)) {
            abort();
        }
        width = count;
        sum = sum_add(sum, (uint64_t)tfw_csv_line(csv));
        for (size_t i = 0; i < count; i++) {
            if (fields[i].len > TFW_CSV_FIELD_MAX ||
                tf_utf8_span(fields[i].data, fields[i].len) != fields[i].len) {
                abort();
            }
            sum = sum_add(sum_bytes(sum, fields[i].data, fields[i].len), 256);
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
