#include "dataset/rows_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "files.h"
#include "write_all.h"

#define WRITE_SIZE 262144 /* bytes that are gathered */

tfw_outcome_t tfw_rows_file_open(tfw_rows_file_t *f, tfw_run_t *run, bool csv)
{
    *f = (tfw_rows_file_t){.run = run, .csv = csv, .fd = tfw_run_temp_file(run)};
    return f->fd >= 0 ? TFW_OK : TFW_RETRY;
}

void tfw_rows_file_close(tfw_rows_file_t *f)
{
    if (f->fd >= 0) {
        close(f->fd);
    }
    tf_buf_free(&f->buf);
}

void tfw_rows_file_field(tfw_rows_file_t *f, bool first, const char *text, size_t len)
{
    bool quoted = false;

    for (size_t i = 0; i < len && !quoted; i++) {
        quoted = text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r';
    }
    tf_buf_adds(&f->buf, first ? "" : ",");
    if (!quoted) {
        tf_buf_add(&f->buf, text, len);
        return;
    }
    tf_buf_addc(&f->buf, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"') {
            tf_buf_addc(&f->buf, '"');
        }
        tf_buf_addc(&f->buf, text[i]);
    }
    tf_buf_addc(&f->buf, '"');
}

static tfw_outcome_t flush(tfw_rows_file_t *f)
{
    if (f->buf.failed) {
        tfw_run_error(f->run, "the file of rows: out of memory");
        return TFW_RETRY;
    }
    f->size += (int64_t)f->buf.len;
    if (f->size > tfw_files_max_bytes()) {
        tfw_run_error(f->run, "the file of rows has more than %lld bytes (TASKFORGE_FILES_MAX_BYTES)",
                      (long long)tfw_files_max_bytes());
        return TFW_PERMANENT;
    }
    if (!tfw_write_all(f->fd, f->buf.data, f->buf.len)) {
        tfw_run_error(f->run, "the file of rows: %s", strerror(errno));
        return TFW_RETRY;
    }
    tf_buf_reset(&f->buf);
    return TFW_OK;
}

tfw_outcome_t tfw_rows_file_end_row(tfw_rows_file_t *f)
{
    tf_buf_adds(&f->buf, f->csv ? "\r\n" : "\n");
    return f->buf.len >= WRITE_SIZE || f->buf.failed ? flush(f) : TFW_OK;
}

tfw_outcome_t tfw_rows_file_store(tfw_rows_file_t *f, tf_buf_t *out)
{
    const char *name = f->csv ? "rows.csv" : "rows.jsonl";
    tfw_outcome_t outcome = flush(f);

    if (outcome != TFW_OK) {
        return outcome;
    }
    if (!tfw_run_file(f->run, name, f->csv ? "text/csv; charset=utf-8" : "application/x-ndjson", f->fd)) {
        return TFW_RETRY;
    }
    tf_json_key(out, "file");
    tf_buf_addc(out, '{');
    tf_json_kcstr(out, "name", name);
    tf_json_kint(out, "size", f->size);
    tf_buf_addc(out, '}');
    return TFW_OK;
}
