/* data_schema.h: the schema of the payload of data_processing, a member a line. */
#ifndef TFW_DATA_SCHEMA_H
#define TFW_DATA_SCHEMA_H

/* clang-format off */
#define TFW_COLUMN_NAME "{\"type\":\"string\",\"minLength\":1,\"maxLength\":65536}"

#define TFW_DATA_SCHEMA \
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{"      \
    "\"dataset\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255,\"description\":\"a file in the "     \
    "data directory: a relative path, or the name of a .csv file without its extension; CSV, TSV, JSON "      \
    "lines or an array of JSON objects, plain or gzip\"},"                                                    \
    "\"url\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":2048,\"description\":\"http or https URL "    \
    "of such a file\"},"                                                                                      \
    "\"records\":{\"type\":[\"array\",\"integer\"],\"items\":{\"type\":\"object\"},\"minimum\":1,"            \
    "\"description\":\"the rows themselves: objects\"},"                                                      \
    "\"format\":{\"enum\":[\"auto\",\"csv\",\"tsv\",\"jsonl\",\"json\"],\"default\":\"auto\","                \
    "\"description\":\"auto: by the extension of the name\"},"                                                \
    "\"rows\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"only the first so many rows\"},"          \
    "\"operation\":{\"enum\":[\"aggregate\",\"group\",\"filter\",\"sort\",\"dedupe\",\"describe\",\"join\","  \
    "\"sql\"],\"default\":\"aggregate\"},"                                                                    \
    "\"group_by\":{\"description\":\"aggregate, group: a column, or a list of columns\",\"anyOf\":[" TFW_COLUMN_NAME     \
    ",{\"type\":\"array\",\"items\":" TFW_COLUMN_NAME ",\"minItems\":1,\"maxItems\":16}]},"                              \
    "\"columns\":{\"type\":\"array\",\"items\":" TFW_COLUMN_NAME ",\"minItems\":1,\"maxItems\":1024,"                    \
    "\"description\":\"only these columns\"},"                                                                \
    "\"aggregates\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":100,\"items\":{\"type\":\"object\","      \
    "\"properties\":{\"function\":{\"enum\":[\"count\",\"count_distinct\",\"sum\",\"avg\",\"min\",\"max\","   \
    "\"median\",\"stddev\"]},\"column\":" TFW_COLUMN_NAME ",\"as\":" TFW_COLUMN_NAME "},\"required\":[\"function\"],"               \
    "\"additionalProperties\":false},\"description\":\"group: what is said about each group; if nothing "     \
    "else, how many rows it has\"},"                                                                          \
    "\"where\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":100,\"items\":{\"type\":\"object\","           \
    "\"properties\":{\"column\":" TFW_COLUMN_NAME ",\"op\":{\"enum\":[\"eq\",\"ne\",\"lt\",\"le\",\"gt\",\"ge\","        \
    "\"in\",\"not_in\",\"contains\",\"starts_with\",\"ends_with\",\"is_null\",\"is_not_null\"]},"             \
    "\"value\":{}},\"required\":[\"column\",\"op\"],\"additionalProperties\":false},\"description\":\"only "  \
    "rows for which this holds\"},"                                                                           \
    "\"match\":{\"enum\":[\"all\",\"any\"],\"default\":\"all\",\"description\":\"all conditions of where, "   \
    "or any of them\"},"                                                                                      \
    "\"sort\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":100,\"items\":{\"anyOf\":[" TFW_COLUMN_NAME ","            \
    "{\"type\":\"object\",\"properties\":{\"column\":" TFW_COLUMN_NAME ",\"order\":{\"enum\":[\"asc\",\"desc\"]}},"      \
    "\"required\":[\"column\"],\"additionalProperties\":false}]},\"description\":\"columns, the most "        \
    "important first, or objects with column and order\"},"                                                   \
    "\"by\":{\"type\":\"array\",\"items\":" TFW_COLUMN_NAME ",\"minItems\":1,\"maxItems\":1024,"                         \
    "\"description\":\"dedupe: the columns that must be equal; all, if not given\"},"                         \
    "\"keep\":{\"enum\":[\"first\",\"last\"],\"default\":\"first\",\"description\":\"dedupe: which of "       \
    "equal rows stays\"},"                                                                                    \
    "\"with\":{\"type\":\"object\",\"description\":\"join, sql: a second dataset\","                          \
    "\"properties\":{\"dataset\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255,"                     \
    "\"description\":\"a file in the data directory: a relative path, or the name of a .csv file without "    \
    "its extension; CSV, TSV, JSON lines or an array of JSON objects, plain or gzip\"},"                      \
    "\"url\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":2048,\"description\":\"http or https URL "    \
    "of such a file\"},\"records\":{\"type\":\"array\",\"items\":{\"type\":\"object\"},"                      \
    "\"description\":\"the rows themselves: objects\"},\"format\":{\"enum\":[\"auto\",\"csv\",\"tsv\","       \
    "\"jsonl\",\"json\"],\"default\":\"auto\",\"description\":\"auto: by the extension of the name\"},"       \
    "\"rows\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"only the first so many rows\"}},"         \
    "\"additionalProperties\":false},"                                                                        \
    "\"on\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":100,\"items\":{\"anyOf\":[" TFW_COLUMN_NAME ","              \
    "{\"type\":\"object\",\"properties\":{\"left\":" TFW_COLUMN_NAME ",\"right\":" TFW_COLUMN_NAME "},\"required\":[\"left\","      \
    "\"right\"],\"additionalProperties\":false}]},\"description\":\"join: columns that must be equal: "       \
    "names, or objects with left and right\"},"                                                               \
    "\"how\":{\"enum\":[\"inner\",\"left\"],\"default\":\"inner\",\"description\":\"join: left: rows "        \
    "without a match too\"},"                                                                                 \
    "\"query\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":65536,\"description\":\"sql: one SELECT "   \
    "over the table data, and other if there is a second dataset\"},"                                         \
    "\"limit\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":10000,\"default\":100,"                        \
    "\"description\":\"rows in the result at most\"},"                                                        \
    "\"output\":{\"enum\":[\"csv\",\"jsonl\"],\"description\":\"all rows also as a file of the job, "         \
    "rows.csv or rows.jsonl\"},"                                                                              \
    "\"data_size\":{\"type\":\"integer\",\"minimum\":1,\"description\":\"the first so many rows of the "      \
    "dataset, or of the default one\"}},"                                                                     \
    "\"anyOf\":[{\"required\":[\"dataset\"]},{\"required\":[\"url\"]},{\"required\":[\"records\"]},"          \
    "{\"required\":[\"data_size\"]}],\"additionalProperties\":false}"
/* clang-format on */

#endif
