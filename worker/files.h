/* files.h: files that a handler makes and that can be downloaded from the API
 * (GET /api/v1/jobs/{id}/files/{name}). They are kept in PostgreSQL and go with their job.
 *
 * Both functions block, for milliseconds up to a second or so: not for a handler that says io_bound. */
#ifndef TFW_FILES_H
#define TFW_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "handler.h"
#include "job_file.h"

#define TFW_FILES_MAX 16      /* files of one job */
#define TFW_FILE_TYPE_MAX 128 /* bytes of a content type */

/* Stores all of the regular file behind fd, from its start, as a file of the job; where fd stands does not
 * matter, and it stays the caller's. The file is there, whole, as soon as this returns, in place of one of
 * the same name that this or an earlier attempt stored. All files of a job have at most tfw_files_max_bytes.
 * name: see tf_file_name_valid (core/job_file.h). content_type: e.g. "application/pdf" or "text/csv;
 * charset=utf-8"; ASCII. A run that does not hold the job any more stores nothing. Memory: one chunk. false:
 * the reason is set by tfw_run_error, and what was there before is still there. What can help is to try the
 * job again. */
bool tfw_run_file(tfw_run_t *run, const char *name, const char *content_type, int fd);

/* TASKFORGE_FILES_MAX_BYTES. */
int64_t tfw_files_max_bytes(void);

/* A temporary file without a name, in TMPDIR or /tmp, to be written and then stored. The caller closes it,
 * which removes it; so does the end of the process. -1: the reason is set by tfw_run_error. */
int tfw_run_temp_file(tfw_run_t *run);

#endif
