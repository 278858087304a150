/* table.c: what the formats of tables share. See table.h. */
#include "convert/table.h"

#include <ctype.h>
#include <string.h>

#define DIGITS_MAX 15 /* of any decimal number that survives being a double */

static const char *digits(const char *p, const char *end)
{
    while (p < end && isdigit((unsigned char)*p)) {
        p++;
    }
    return p;
}

/* Of what stands before the exponent: those between the zeros in front and behind. */
static int significant(const char *p, const char *end)
{
    int count = 0, zeros = 0;

    for (; p < end; p++) {
        if (*p == '0') {
            zeros += count > 0;
        } else if (isdigit((unsigned char)*p)) {
            count += zeros + 1;
            zeros = 0;
        }
    }
    return count;
}

bool tfw_table_is_number(tf_str_t text)
{
    const char *p = text.data, *end = p + text.len, *whole, *mantissa_end, *exponent;

    if (text.len == 0) {
        return false;
    }
    p += *p == '-';
    whole = p;
    p = digits(p, end);
    if (p == whole || (*whole == '0' && p - whole > 1)) {
        return false;
    }
    if (p < end && *p == '.') {
        const char *point = p++;

        p = digits(p, end);
        if (p == point + 1) {
            return false;
        }
    }
    mantissa_end = p;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        exponent = p;
        p = digits(p, end);
        if (p == exponent || p - exponent > 2) { /* up to e99: no double is too small for that */
            return false;
        }
    }
    return p == end && significant(whole, mantissa_end) <= DIGITS_MAX && mantissa_end - whole <= 200;
}

void tfw_table_letters(size_t column, char letters[8])
{
    char reversed[8];
    size_t n = 0, i;

    do {
        reversed[n++] = (char)('A' + column % 26);
        column = column / 26;
    } while (column-- > 0 && n < sizeof(reversed) - 1);
    for (i = 0; i < n; i++) {
        letters[i] = reversed[n - 1 - i];
    }
    letters[n] = '\0';
}

static void blank(tfw_row_t *row, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++) {
        row->cells[i] = (tfw_cell_t){row->blank, {"", 0}};
    }
}

void tfw_row_init(tfw_row_t *row, tfw_cell_kind_t kind)
{
    row->blank = kind;
    row->width = 0;
    row->text = (tf_buf_t)TF_BUF_INIT;
    blank(row, TFW_TABLE_COLUMNS_MAX);
}

void tfw_row_clear(tfw_row_t *row)
{
    blank(row, row->width);
    row->width = 0;
    tf_buf_reset(&row->text);
}

bool tfw_row_set(tfw_row_t *row, tfw_convert_t *c, size_t column, tfw_cell_kind_t kind, tf_str_t text)
{
    char letters[8];

    tfw_table_letters(column, letters);
    if (column >= TFW_TABLE_COLUMNS_MAX) {
        return tfw_convert_fail(c, TFW_PERMANENT, "column %s: there are more than %d columns", letters,
                                TFW_TABLE_COLUMNS_MAX);
    }
    if (text.len > TFW_TABLE_CELL_MAX) {
        return tfw_convert_fail(c, TFW_PERMANENT, "column %s: a cell is longer than %d bytes", letters,
                                TFW_TABLE_CELL_MAX);
    }
    if (row->text.len + text.len > TFW_TABLE_ROW_MAX) {
        return tfw_convert_fail(c, TFW_PERMANENT, "a row is longer than %d bytes", TFW_TABLE_ROW_MAX);
    }
    row->cells[column].kind = kind;
    row->cells[column].text.len = text.len;
    row->starts[column] = row->text.len;
    row->width = column >= row->width ? column + 1 : row->width;
    if (text.len > 0) {
        tf_buf_add(&row->text, text.data, text.len);
    }
    return row->text.failed ? tfw_convert_memory(c) : true;
}

const tfw_cell_t *tfw_row_cells(tfw_row_t *row)
{
    size_t i;

    for (i = 0; i < row->width; i++) {
        row->cells[i].text.data = row->cells[i].text.len > 0 ? row->text.data + row->starts[i] : "";
    }
    return row->cells;
}

void tfw_row_free(tfw_row_t *row)
{
    tf_buf_free(&row->text);
}
