/* xlsx_sink.c: a table as a workbook of one sheet, written by libxlsxwriter row by row. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <xlsxwriter.h>

#include "convert/sheet.h"
#include "convert/table.h"
#include "dataset/number.h"

struct tfw_xlsx_sink_s {
    tfw_convert_t *convert;
    int fd;
    uint64_t bytes; /* of all cells so far */
    lxw_row_t row;
    lxw_workbook *workbook; /* NULL once it is closed */
    lxw_worksheet *sheet;
    tf_buf_t text; /* NUL-terminated */
};

static bool failed(tfw_xlsx_sink_t *s, lxw_error error, size_t column)
{
    char letters[8];

    tfw_table_letters(column, letters);
    if (error == LXW_ERROR_MEMORY_MALLOC_FAILED) {
        return tfw_convert_memory(s->convert);
    }
    if (error == LXW_ERROR_CREATING_TMPFILE || error == LXW_ERROR_CREATING_XLSX_FILE) {
        return tfw_convert_fail(s->convert, TFW_RETRY, "cannot write: %s", strerror(errno));
    }
    return tfw_convert_fail(s->convert, TFW_PERMANENT, "cell %s%u of the workbook: %s", letters, s->row + 1,
                            lxw_strerror(error));
}

static lxw_error write_cell(tfw_xlsx_sink_t *s, lxw_col_t column, const tfw_cell_t *cell)
{
    double number;

    if (cell->text.len == 0) {
        return LXW_NO_ERROR;
    }
    if (cell->kind == TFW_CELL_BOOLEAN) {
        return worksheet_write_boolean(s->sheet, s->row, column, *cell->text.data == 't', NULL);
    }
    if (cell->kind == TFW_CELL_NUMBER && tfw_table_is_number(cell->text) &&
        tfw_number_parse(cell->text.data, cell->text.len, &number)) {
        return worksheet_write_number(s->sheet, s->row, column, number, NULL);
    }
    s->text.len = 0;
    tf_buf_add(&s->text, cell->text.data, cell->text.len);
    tf_buf_cstr(&s->text);
    return s->text.failed ? LXW_ERROR_MEMORY_MALLOC_FAILED
                          : worksheet_write_string(s->sheet, s->row, column, tf_buf_cstr(&s->text), NULL);
}

static bool xlsx_row(void *data, const tfw_cell_t *cells, size_t count)
{
    tfw_xlsx_sink_t *s = data;
    lxw_error error;
    size_t i;

    if (s->row == TFW_SHEET_ROWS_MAX) {
        return tfw_convert_fail(s->convert, TFW_PERMANENT, "more than the %d rows that a sheet can have",
                                TFW_SHEET_ROWS_MAX);
    }
    for (i = 0; i < count; i++) {
        s->bytes += cells[i].text.len;
        error = write_cell(s, (lxw_col_t)i, &cells[i]);
        if (error != LXW_NO_ERROR) {
            return failed(s, error, i);
        }
    }
    s->row++;
    /* the packed file is smaller, and this much is unpacked again by whoever reads it */
    return s->bytes <= s->convert->output_max ||
           tfw_convert_fail(s->convert, TFW_PERMANENT, "the cells hold more than %llu bytes",
                            (unsigned long long)s->convert->output_max);
}

static bool xlsx_end(void *data)
{
    tfw_xlsx_sink_t *s = data;
    lxw_error error = workbook_close(s->workbook); /* frees it, whatever happens */
    struct stat st;

    s->workbook = NULL;
    if (error != LXW_NO_ERROR) {
        return error == LXW_ERROR_MEMORY_MALLOC_FAILED
                   ? tfw_convert_memory(s->convert)
                   : tfw_convert_fail(s->convert, TFW_RETRY, "cannot write the workbook: %s",
                                      lxw_strerror(error));
    }
    return (fstat(s->fd, &st) == 0 && (uint64_t)st.st_size <= s->convert->output_max) ||
           tfw_convert_fail(s->convert, TFW_PERMANENT, "the result is larger than %llu bytes",
                            (unsigned long long)s->convert->output_max);
}

tfw_xlsx_sink_t *tfw_xlsx_sink(tfw_convert_t *c, int fd, const char *sheet, tfw_sink_t *to)
{
    tfw_xlsx_sink_t *s = calloc(1, sizeof(*s));
    lxw_workbook_options options = {.constant_memory = LXW_TRUE};
    lxw_doc_properties properties = {.created = 1}; /* not the time of day: equal tables are equal files */
    char path[32];

    if (!s) {
        tfw_convert_memory(c);
        return NULL;
    }
    s->convert = c;
    s->fd = fd;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    s->workbook = workbook_new_opt(path, &options);
    if (!s->workbook) {
        tfw_convert_memory(c);
        free(s);
        return NULL;
    }
    if (workbook_validate_sheet_name(s->workbook, sheet) != LXW_NO_ERROR) {
        tfw_convert_fail(c, TFW_PERMANENT,
                         "\"%s\" cannot be the name of a sheet: it has up to 31 characters, none of []:*?/\\",
                         sheet);
        tfw_xlsx_sink_free(s);
        return NULL;
    }
    workbook_set_properties(s->workbook, &properties);
    s->sheet = workbook_add_worksheet(s->workbook, sheet);
    if (!s->sheet) {
        tfw_convert_fail(c, TFW_RETRY, "cannot begin the workbook: %s", strerror(errno));
        tfw_xlsx_sink_free(s);
        return NULL;
    }
    *to = (tfw_sink_t){xlsx_row, xlsx_row, xlsx_end, s};
    return s;
}

void tfw_xlsx_sink_free(tfw_xlsx_sink_t *s)
{
    if (s) {
        lxw_workbook_free(s->workbook);
        tf_buf_free(&s->text);
        free(s);
    }
}
