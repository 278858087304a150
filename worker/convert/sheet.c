/* sheet.c: see sheet.h. */
#include "convert/sheet.h"

void tfw_sheet_init(tfw_sheet_t *sheet, tfw_convert_t *c, const tfw_sink_t *sink, tfw_table_facts_t *facts)
{
    sheet->convert = c;
    sheet->sink = sink;
    sheet->facts = facts;
    sheet->measuring = true;
    sheet->begun = false;
    sheet->row_number = 0;
    tfw_row_init(&sheet->row, TFW_CELL_NULL);
}

bool tfw_sheet_cell(tfw_sheet_t *sheet, size_t column, tfw_cell_kind_t kind, tf_str_t text)
{
    return text.len == 0 || tfw_row_set(&sheet->row, sheet->convert, column, kind, text);
}

static bool push(tfw_sheet_t *sheet, int64_t repeated)
{
    const tfw_sink_t *sink = sheet->sink;
    const tfw_cell_t *cells = tfw_row_cells(&sheet->row);

    if (!sheet->begun) {
        sheet->begun = true;
        repeated--;
        if (!sink->begin(sink->data, cells, sheet->facts->columns)) {
            return false;
        }
    }
    for (; repeated > 0; repeated--) {
        if (!tfw_convert_go_on(sheet->convert) || !sink->row(sink->data, cells, sheet->facts->columns)) {
            return false;
        }
        sheet->facts->rows++;
    }
    return true;
}

bool tfw_sheet_end_row(tfw_sheet_t *sheet, int64_t repeated)
{
    bool ok = true;

    sheet->row_number += repeated;
    if (sheet->row.width > 0 && sheet->row_number > TFW_SHEET_ROWS_MAX) {
        return tfw_convert_fail(sheet->convert, TFW_PERMANENT, "the sheet has more than %d rows",
                                TFW_SHEET_ROWS_MAX);
    }
    if (sheet->row.width > 0 && sheet->measuring) {
        sheet->facts->columns =
            sheet->row.width > sheet->facts->columns ? sheet->row.width : sheet->facts->columns;
    } else if (sheet->row.width > sheet->facts->columns) {
        ok = tfw_convert_fail(sheet->convert, TFW_RETRY, "the file was changed while it was read");
    } else if (sheet->row.width > 0) {
        ok = push(sheet, repeated);
    }
    tfw_row_clear(&sheet->row);
    return ok;
}

void tfw_sheet_measured(tfw_sheet_t *sheet)
{
    sheet->measuring = false;
    sheet->row_number = 0;
    tfw_row_clear(&sheet->row);
}

bool tfw_sheet_end(tfw_sheet_t *sheet)
{
    const tfw_sink_t *sink = sheet->sink;

    return (sheet->begun || sink->begin(sink->data, NULL, 0)) && sink->end(sink->data);
}

void tfw_sheet_free(tfw_sheet_t *sheet)
{
    tfw_row_free(&sheet->row);
}
