/* Any bytes as JSON lines, or as an array. The first byte says which, and how many bytes a read gives at
 * most, so that rows break across reads everywhere; what comes out must not depend on it, and every row is an
 * object. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "dataset/json_rows.h"
#include "pieces.h"

/* Reads all of it; a checksum of rows, lines and the end. */
static uint64_t digest(tfw_json_rows_kind_t kind, const uint8_t *data, size_t len, size_t piece)
{
    pieces_t pieces = {data, len, piece};
    tfw_json_rows_t *rows = tfw_json_rows_new(kind, pieces_read, &pieces);
    tfw_csv_status_t status;
    uint64_t sum = SUM_BEGIN;
    int64_t line = 0;
    char *text;

    if (rows == NULL) {
        abort();
    }
    while ((status = tfw_json_rows_next(rows)) == TFW_CSV_RECORD) {
        if (!json_is_object(tfw_json_row(rows)) || tfw_json_rows_line(rows) < line) {
            abort();
        }
        line = tfw_json_rows_line(rows);
        text = json_dumps(tfw_json_row(rows), JSON_COMPACT);
        sum = sum_bytes(sum, text, strlen(text)) * 31 + (uint64_t)line;
        free(text);
    }
    if ((status == TFW_CSV_END) != (tfw_json_rows_error(rows)[0] == '\0') || status == TFW_CSV_READ_FAILED ||
        tfw_json_row(rows) != NULL || tfw_json_rows_next(rows) != status) {
        abort();
    }
    text = (char *)tfw_json_rows_error(rows);
    if (!tf_utf8_valid(text, strlen(text)) || strchr(text, '\n') != NULL) {
        abort();
    }
    sum = sum_bytes(sum, text, strlen(text)) * 31 + (uint64_t)status;
    tfw_json_rows_free(rows);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    tfw_json_rows_kind_t kind = size > 0 && data[0] % 2 ? TFW_JSON_ARRAY : TFW_JSON_LINES;

    if (size > 0 && digest(kind, data + 1, size - 1, (size_t)data[0] / 2 + 1) !=
                        digest(kind, data + 1, size - 1, SIZE_MAX)) {
        abort();
    }
    return 0;
}
