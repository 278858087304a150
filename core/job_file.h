/* job_file.h: what the worker, which stores the files of a job, and the API, which hands them out, agree on.
 */
#ifndef TF_JOB_FILE_H
#define TF_JOB_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a row of job_file_chunks; the last one of a file may have fewer. */
#define TF_FILE_CHUNK (256 * 1024)

#define TF_FILE_NAME_MAX 128 /* bytes */

/* 1 to TF_FILE_NAME_MAX letters, digits, '.', '_' and '-', of which '.' is not the first. */
bool tf_file_name_valid(const char *name, size_t len);

#endif
