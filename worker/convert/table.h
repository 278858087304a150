/* table.h: a table on its way from one format to another: named columns, then rows of cells. A source pushes
 * it into a sink row by row; neither keeps it. */
#ifndef TFW_TABLE_H
#define TFW_TABLE_H

#include "convert/convert.h"
#include "job.h"

#define TFW_TABLE_COLUMNS_MAX 1024
#define TFW_TABLE_CELL_MAX (256 * 1024) /* bytes of one cell */
#define TFW_TABLE_ROW_MAX (1024 * 1024) /* bytes of all cells of a row */
#define TFW_TABLE_SHEET_NAME_MAX 255    /* bytes */

typedef enum {
    TFW_CELL_MISSING, /* the JSON object does not have the member */
    TFW_CELL_NULL,    /* an empty cell, an empty field, null */
    TFW_CELL_TEXT,
    TFW_CELL_NUMBER,  /* text is a number of JSON, as it was written where the source has such */
    TFW_CELL_BOOLEAN, /* text is true or false */
    TFW_CELL_JSON     /* text is an object or array of JSON */
} tfw_cell_kind_t;

typedef struct {
    tfw_cell_kind_t kind;
    tf_str_t text; /* UTF-8; of the last two kinds before TEXT: empty */
} tfw_cell_t;

/* A row in the making: the cells are set in any order, their texts are copied. */
typedef struct {
    tfw_cell_t cells[TFW_TABLE_COLUMNS_MAX]; /* whose texts are offsets until tfw_row_cells */
    size_t starts[TFW_TABLE_COLUMNS_MAX];
    size_t width;          /* 1 + the last column that was set */
    tfw_cell_kind_t blank; /* of the cells that are not set */
    tf_buf_t text;
} tfw_row_t;

void tfw_row_init(tfw_row_t *row, tfw_cell_kind_t kind);

/* All cells are blank again; the memory is kept. */
void tfw_row_clear(tfw_row_t *row);

/* false: the conversion has failed, for want of memory or over a limit. */
bool tfw_row_set(tfw_row_t *row, tfw_convert_t *c, size_t column, tfw_cell_kind_t kind, tf_str_t text);

/* The cells, valid until the row changes. */
const tfw_cell_t *tfw_row_cells(tfw_row_t *row);

void tfw_row_free(tfw_row_t *row);

/* Where rows go. Each call returns false when the conversion has failed. */
typedef struct {
    /* Once, first. count: of the columns, 0 for an empty source. Each name is a cell of any kind. */
    bool (*begin)(void *data, const tfw_cell_t *names, size_t count);
    bool (*row)(void *data, const tfw_cell_t *cells, size_t count); /* count as in begin */
    bool (*end)(void *data);
    void *data;
} tfw_sink_t;

/* How a source is to be read. */
typedef struct {
    char delimiter;   /* of CSV */
    bool numbers;     /* of CSV: fields that are numbers are cells that are numbers */
    tf_str_t sheet;   /* of a spreadsheet: its name; data == NULL: not by name */
    int sheet_number; /* from 1 */
} tfw_table_options_t;

/* What was read. */
typedef struct {
    int64_t rows; /* the names of the columns excepted */
    size_t columns;
    char sheet[TFW_TABLE_SHEET_NAME_MAX + 1]; /* "": the source has none */
} tfw_table_facts_t;

/* A source: pushes the table behind in->fd into sink. */
typedef bool (*tfw_table_read_fn)(tfw_convert_t *c, const tfw_input_t *in, const tfw_table_options_t *options,
                                  const tfw_sink_t *sink, tfw_table_facts_t *facts);

/* true: the text is a number of JSON (RFC 8259, 6), which a double holds without loss of a digit. */
bool tfw_table_is_number(tf_str_t text);

/* "A" for 0, "Z" for 25, "AA" for 26. */
void tfw_table_letters(size_t column, char letters[8]);

/* ---- sources; all may read the file twice ---- */
bool tfw_csv_table(tfw_convert_t *c, const tfw_input_t *in, const tfw_table_options_t *options,
                   const tfw_sink_t *sink, tfw_table_facts_t *facts);
/* An array of objects, or objects one after the other (JSON lines). The columns are the members of all
 * objects, in the order in which they first appear. */
bool tfw_json_table(tfw_convert_t *c, const tfw_input_t *in, const tfw_table_options_t *options,
                    const tfw_sink_t *sink, tfw_table_facts_t *facts);
/* The first row that is not empty has the names; empty rows are left out. */
bool tfw_xlsx_table(tfw_convert_t *c, const tfw_input_t *in, const tfw_table_options_t *options,
                    const tfw_sink_t *sink, tfw_table_facts_t *facts);
bool tfw_ods_table(tfw_convert_t *c, const tfw_input_t *in, const tfw_table_options_t *options,
                   const tfw_sink_t *sink, tfw_table_facts_t *facts);

/* ---- sinks; each is freed with the function beside it, also after a failure ---- */
typedef struct {
    tfw_output_t out;
    char delimiter;
} tfw_csv_sink_t;

void tfw_csv_sink(tfw_csv_sink_t *sink, tfw_convert_t *c, int fd, char delimiter, tfw_sink_t *to);
void tfw_csv_sink_free(tfw_csv_sink_t *sink);

/* Rows as JSON objects: one array, or one object a line. A column without a name is column_2, a name that is
 * there before gets _2, _3 behind it. */
typedef struct {
    tfw_output_t out;
    bool lines;
    int64_t rows;
    tf_buf_t keys; /* "name": of each column */
    size_t *ends;  /* where each ends in keys */
} tfw_json_sink_t;

void tfw_json_sink(tfw_json_sink_t *sink, tfw_convert_t *c, int fd, bool lines, tfw_sink_t *to);
void tfw_json_sink_free(tfw_json_sink_t *sink);

/* A workbook of one sheet. */
typedef struct tfw_xlsx_sink_s tfw_xlsx_sink_t;

/* sheet: its name. NULL: the conversion has failed. */
tfw_xlsx_sink_t *tfw_xlsx_sink(tfw_convert_t *c, int fd, const char *sheet, tfw_sink_t *to);
void tfw_xlsx_sink_free(tfw_xlsx_sink_t *sink);

/* Objects of JSON as they are, white space between their parts excepted, from one form to the other. */
bool tfw_json_reshape(tfw_convert_t *c, const tfw_input_t *in, int out_fd, bool lines,
                      tfw_table_facts_t *facts);

#endif
