/* sheet.h: the cells of one sheet of a spreadsheet, as they come, made into a table. The sheet is gone over
 * twice: first to see how many columns it uses. */
#ifndef TFW_SHEET_H
#define TFW_SHEET_H

#include "convert/table.h"

#define TFW_SHEET_ROWS_MAX 1048576 /* as spreadsheets have */

typedef struct {
    tfw_convert_t *convert;
    const tfw_sink_t *sink;
    tfw_table_facts_t *facts;
    bool measuring;     /* the first time */
    bool begun;         /* the names are through */
    int64_t row_number; /* from 1; for errors */
    tfw_row_t row;
} tfw_sheet_t;

void tfw_sheet_init(tfw_sheet_t *sheet, tfw_convert_t *c, const tfw_sink_t *sink, tfw_table_facts_t *facts);

/* column: from 0. A cell with an empty text is none. */
bool tfw_sheet_cell(tfw_sheet_t *sheet, size_t column, tfw_cell_kind_t kind, tf_str_t text);

/* The row is whole, and there so often. */
bool tfw_sheet_end_row(tfw_sheet_t *sheet, int64_t repeated);

/* Between the two times. */
void tfw_sheet_measured(tfw_sheet_t *sheet);

/* After the second. */
bool tfw_sheet_end(tfw_sheet_t *sheet);

void tfw_sheet_free(tfw_sheet_t *sheet);

/* A serial date of a spreadsheet as ISO 8601. base_1904: days count from 1904-01-01, not from 1900. */
typedef enum { TFW_SERIAL_NUMBER, TFW_SERIAL_DATE, TFW_SERIAL_TIME, TFW_SERIAL_DATE_TIME } tfw_serial_t;

#define TFW_ISO_SIZE 40

/* false: it is no date that can be written so; then it is a number. */
bool tfw_sheet_date(double serial, tfw_serial_t kind, bool base_1904, char iso[TFW_ISO_SIZE]);

/* What a number format shows. code: as in styles.xml, e.g. "yyyy\-mm\-dd" */
tfw_serial_t tfw_sheet_format(tf_str_t code);

/* The same of the formats that are known by number; TFW_SERIAL_NUMBER for others. */
tfw_serial_t tfw_sheet_builtin_format(int64_t id);

#endif
