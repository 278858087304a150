/* json_elements.h: the objects of a JSON file one after the other, without the file in memory: of an array,
 * or as they stand behind each other (JSON lines). */
#ifndef TFW_JSON_ELEMENTS_H
#define TFW_JSON_ELEMENTS_H

#include "convert/convert.h"
#include "job.h"

#define TFW_JSON_ELEMENT_MAX (1024 * 1024) /* bytes */

/* Calls fn with each object, whose text is valid JSON with no member twice, until fn says false. number:
 * counts from 1. The percents are those of the progress. false: the conversion has failed. */
bool tfw_json_elements(tfw_convert_t *c, const tfw_input_t *in, int from_percent, int to_percent,
                       bool (*fn)(void *data, int64_t number, tf_str_t object), void *data);

#endif
