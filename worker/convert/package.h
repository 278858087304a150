/* package.h: the zip files that spreadsheets are, and the XML in them, read from front to end without being
 * in memory. Bounded: what is in a package is inflated only up to the conversion's unpacked_max, of no part
 * more than a few hundred times of what it has packed; a part with a document type declaration is refused, so
 * there are no entities to expand and nothing outside of the package is looked at. */
#ifndef TFW_PACKAGE_H
#define TFW_PACKAGE_H

#include "convert/convert.h"
#include "job.h"

typedef struct tfw_package_s tfw_package_t;

/* NULL: the conversion has failed: it is no zip file, is broken, or has more parts than a spreadsheet needs.
 */
tfw_package_t *tfw_package_open(tfw_convert_t *c, const tfw_input_t *in);
void tfw_package_close(tfw_package_t *package);

bool tfw_package_has(const tfw_package_t *package, const char *part);

/* The first bytes of a part as text, NUL-terminated. false: there is no such part, or it cannot be read. */
bool tfw_package_start_of(tfw_package_t *package, const char *part, char *text, size_t size);

/* The attributes of an element. */
typedef struct {
    const unsigned char **list; /* libxml2's: five pointers each */
    int count;
} tfw_xml_attributes_t;

/* What looks at a part. Names are local ones; space is the namespace's URI, "" for none. The texts of a cell
 * may come in several pieces. Each returns false to stop: the conversion has failed, or enough was seen. */
typedef struct {
    bool (*start)(void *data, const char *space, const char *name, const tfw_xml_attributes_t *attributes);
    bool (*end)(void *data, const char *space, const char *name);
    bool (*text)(void *data, tf_str_t text);
    void *data;
} tfw_xml_reader_t;

/* Goes over a part that must be there. The percents are those of the progress. false: the conversion has
 * failed. */
bool tfw_package_read(tfw_package_t *package, const char *part, const tfw_xml_reader_t *reader, int from,
                      int to);

/* The value of an attribute, valid during the call of start; an ampersand in it is still "&#38;". space: what
 * its namespace's URI must contain; NULL: any. data == NULL: it is not there. */
tf_str_t tfw_xml_attribute(const tfw_xml_attributes_t *attributes, const char *space, const char *name);

/* A value with its ampersands: itself, or what is put into scratch, until that is used again. */
tf_str_t tfw_xml_decoded(tf_str_t value, tf_buf_t *scratch);

/* A whole number from 0 to max; fallback: the attribute is not there, or something else. */
int64_t tfw_xml_number(const tfw_xml_attributes_t *attributes, const char *space, const char *name,
                       int64_t max, int64_t fallback);

bool tfw_str_is(tf_str_t text, const char *word);

#endif
