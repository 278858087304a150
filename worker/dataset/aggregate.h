/* aggregate.h: statistics of a table's numeric columns, row by row, as a whole and by the values of one
 * column or several.
 *
 * A column is numeric when it has a value and all its values are numbers (number.h); an empty field is a
 * missing value. The numbers are kept until the end, because an exact median needs them: 8 bytes each. */
#ifndef TFW_AGGREGATE_H
#define TFW_AGGREGATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "job.h"

#define TFW_AGGREGATE_GROUPS_MAX 10000
#define TFW_AGGREGATE_GROUP_VALUE_MAX 1024 /* bytes, of several columns together */
#define TFW_AGGREGATE_GROUP_COLUMNS_MAX 16

typedef enum {
    TFW_AGGREGATE_OK,
    TFW_AGGREGATE_BAD,   /* over a limit, or an unknown or doubled name; tfw_aggregate_error says which */
    TFW_AGGREGATE_MEMORY /* out of memory */
} tfw_aggregate_status_t;

typedef struct tfw_aggregate_s tfw_aggregate_t;

/* numbers_max: how many numbers may be kept, missing ones and the groups of the rows included.
 * NULL: out of memory. Free with tfw_aggregate_free (NULL is fine). */
tfw_aggregate_t *tfw_aggregate_new(size_t numbers_max);
void tfw_aggregate_free(tfw_aggregate_t *a);

/* The column names, copied. They must be there and differ. Call once, first. */
tfw_aggregate_status_t tfw_aggregate_header(tfw_aggregate_t *a, const tf_str_t *names, size_t count);

/* Only columns so named are looked at; without a call all are. Before the first row. */
tfw_aggregate_status_t tfw_aggregate_select(tfw_aggregate_t *a, tf_str_t name);

/* This column, counted from 0, has texts, whatever they look like. Before the first row. */
void tfw_aggregate_text(tfw_aggregate_t *a, size_t column);

/* Also by the values of this column. Called again: by the values of these columns together. Before the first
 * row. */
tfw_aggregate_status_t tfw_aggregate_group_by(tfw_aggregate_t *a, tf_str_t name);

/* group_by and each value are written as lists, also those of a single column. */
void tfw_aggregate_group_lists(tfw_aggregate_t *a);

/* One row: as many fields as there are names. */
tfw_aggregate_status_t tfw_aggregate_row(tfw_aggregate_t *a, const tf_str_t *fields);

int64_t tfw_aggregate_rows(const tfw_aggregate_t *a);

/* Adds the members ,"rows":n,"columns":{name:{count,sum,mean,min,max,stddev,median}},"text_columns":[names]
 * to the open object in out, and with a group column ,"group_by":name,"groups":[{"value","rows","columns"}],
 * sorted by the bytes of value; as lists: "group_by":[names] and "value":[...]. What cannot be said (the mean
 * of nothing, a sum beyond a double) is null. At the limits above this takes a few seconds. */
tfw_aggregate_status_t tfw_aggregate_write(tfw_aggregate_t *a, tf_buf_t *out);

/* Why the last call gave TFW_AGGREGATE_BAD; one line. */
const char *tfw_aggregate_error(const tfw_aggregate_t *a);

#endif
