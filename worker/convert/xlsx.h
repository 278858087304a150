/* xlsx.h: what a workbook in Office Open XML (ECMA-376) has beside its sheets. */
#ifndef TFW_XLSX_H
#define TFW_XLSX_H

#include "convert/package.h"
#include "convert/sheet.h"

#define TFW_PART_MAX 256 /* bytes of the name of a part */

typedef struct {
    tfw_convert_t *convert;
    tfw_package_t *package;
    char workbook[TFW_PART_MAX];
    char sheet[TFW_PART_MAX]; /* the chosen one */
    bool base_1904;
    uint8_t *formats; /* tfw_serial_t of each style of cells */
    size_t format_count;
    tf_buf_t scratch; /* of tfw_xml_decoded */
    tf_buf_t strings; /* the shared ones, one after the other */
    size_t *string_ends;
    size_t string_count;
} tfw_xlsx_t;

/* Finds the sheet that the options name, facts->sheet, and reads styles and shared strings. false: the
 * conversion has failed. */
bool tfw_xlsx_open(tfw_xlsx_t *x, const tfw_table_options_t *options, tfw_table_facts_t *facts);

/* Takes _x000D_ and the like out of a text. Returns the new length. */
size_t tfw_xlsx_unescape(char *text, size_t len);

void tfw_xlsx_free(tfw_xlsx_t *x);

#endif
