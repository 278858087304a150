/* report_generation, generate_report: a report over the jobs of a time, or over a dataset, as PDF or HTML.
 * docs/handlers.md says what goes in and comes out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "report/report.h"
#include "uuid.h"
#include "worker/files.h"

#define PAGES_MAX 500
#define NAME_PART 40 /* bytes of what people named, in the name of a file */

/* where conf/nginx.conf has the API */
#define API "/api/v1"

typedef struct {
    tfw_run_t *run;
    tfw_report_request_t request;
    tfw_report_t report;
    int64_t count;
    int pages;                       /* of the PDF */
    tf_buf_t files;                  /* of the result */
    char url[TF_FILE_NAME_MAX + 80]; /* of the first file */
} work_t;

bool tfw_report_go_on(void *run)
{
    return !tfw_run_cancelled(run);
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A part of a file's name: what may not be in it becomes '-'. */
static void add_part(char *name, size_t size, const char *text)
{
    size_t len = strlen(name), end = len + NAME_PART;

    for (; *text && len < end && len + 1 < size; text++) {
        bool first = len == 0, fits = tf_file_name_valid(text, 1) || (*text == '.' && !first);

        name[len++] = (char)(fits ? *text : '-');
    }
    name[len] = '\0';
}

/* {type}-{range}-{uuid}: that of the job, so that a second attempt replaces what the first has made. */
static void name_of(const work_t *w, const char *extension, char *name, size_t size,
                    char id[TF_UUID_TEXT_LEN + 1])
{
    name[0] = '\0';
    add_part(name, size, w->request.report_type);
    snprintf(name + strlen(name), size - strlen(name), "-");
    add_part(name, size, w->request.dataset ? w->request.dataset : w->request.date_range);
    tf_uuid_format(tfw_run_id(w->run), id);
    id[TF_UUID_TEXT_LEN] = '\0';
    snprintf(name + strlen(name), size - strlen(name), "-%s.%s", id, extension);
}

static tfw_outcome_t keep(work_t *w, const char *extension, const char *content_type, int fd)
{
    char name[TF_FILE_NAME_MAX + 1], id[TF_UUID_TEXT_LEN + 1], url[sizeof(w->url)];
    struct stat st;

    name_of(w, extension, name, sizeof(name), id);
    if (fstat(fd, &st) != 0 || !tfw_run_file(w->run, name, content_type, fd)) {
        return tfw_run_cancelled(w->run) ? TFW_CANCELLED : TFW_RETRY;
    }
    snprintf(url, sizeof(url), API "/jobs/%s/files/%s", id, name);
    if (w->files.len) {
        tf_buf_addc(&w->files, ',');
    } else {
        memcpy(w->url, url, sizeof(url));
    }
    tf_buf_addc(&w->files, '{');
    tf_json_kcstr(&w->files, "name", name);
    tf_json_kcstr(&w->files, "content_type", content_type);
    tf_json_kint(&w->files, "size", st.st_size);
    tf_json_kcstr(&w->files, "url", url);
    tf_buf_addc(&w->files, '}');
    return TFW_OK;
}

static tfw_outcome_t write_pdf(work_t *w, const tfw_render_t *render, int fd)
{
    tfw_render_job_t job = {.go_on = tfw_report_go_on,
                            .data = w->run,
                            .pages_max = PAGES_MAX,
                            .bytes_max = tfw_files_max_bytes()};

    if (render->document(&job, &w->report.doc, fd)) {
        w->pages = job.pages;
        return TFW_OK;
    }
    tfw_run_error(w->run, "%s", job.error);
    return job.cancelled ? TFW_CANCELLED : TFW_PERMANENT;
}

static tfw_outcome_t export(work_t *w, const tfw_render_t *render, bool pdf)
{
    int fd = tfw_run_temp_file(w->run);
    tfw_outcome_t outcome;

    if (fd < 0) {
        return TFW_RETRY;
    }
    tfw_run_log(w->run, "info", pdf ? "Exporting PDF" : "Exporting HTML");
    outcome = pdf ? write_pdf(w, render, fd) : tfw_report_html(w->run, render, &w->report, fd);
    if (outcome == TFW_OK) {
        outcome = keep(w, pdf ? "pdf" : "html", pdf ? "application/pdf" : "text/html; charset=utf-8", fd);
    }
    close(fd);
    return outcome;
}

static tfw_outcome_t export_all(work_t *w)
{
    const tfw_render_t *render;
    tfw_outcome_t outcome = TFW_OK;

    tfw_run_progress(w->run, 60);
    tfw_run_log(w->run, "info", "Rendering charts");
    render = tfw_render(w->run);
    if (!render) {
        return TFW_RETRY;
    }
    if (w->request.pdf) {
        outcome = export(w, render, true);
        tfw_run_progress(w->run, 80);
    }
    if (w->request.html && outcome == TFW_OK) {
        outcome = export(w, render, false);
    }
    return outcome;
}

static tfw_outcome_t write_result(work_t *w)
{
    tf_buf_t out = TF_BUF_INIT;
    bool ok;

    tf_buf_addc(&out, '{');
    tf_json_kcstr(&out, "status", "completed");
    tf_json_kcstr(&out, "report_type", w->request.report_type);
    if (w->request.user_id) {
        char *text = json_dumps(w->request.user_id, JSON_ENCODE_ANY | JSON_COMPACT);

        tf_json_kraw(&out, "user_id", text, text ? strlen(text) : 0);
        free(text);
    }
    tf_json_kcstr(&out, "file_url", w->url);
    if (w->request.pdf) {
        tf_json_kint(&out, "pages", w->pages);
    }
    if (w->request.dataset) {
        tf_json_kcstr(&out, "dataset", w->request.dataset);
        tf_json_kint(&out, "rows", w->count);
    } else {
        tf_json_ktime(&out, "from", w->request.from_us);
        tf_json_ktime(&out, "to", w->request.to_us);
        tf_json_kint(&out, "jobs", w->count);
    }
    tf_json_key(&out, "files");
    tf_buf_addc(&out, '[');
    tf_buf_add(&out, w->files.data, w->files.len);
    tf_buf_adds(&out, "]}");
    ok = !out.failed && !w->files.failed;
    if (ok) {
        tfw_run_result(w->run, out.data, out.len);
    } else {
        tfw_run_error(w->run, "out of memory");
    }
    tf_buf_free(&out);
    return ok ? TFW_OK : TFW_RETRY;
}

static void entitle(work_t *w, int64_t now)
{
    tfw_report_t *report = &w->report;

    report->doc.title = w->request.title ? w->request.title : w->request.report_type;
    report->doc.footer = tfw_report_text(report, "TaskForge \xC2\xB7 %s UTC", tfw_report_time(report, now));
}

static tfw_outcome_t report_run(tfw_run_t *run)
{
    work_t w = {.run = run, .files = TF_BUF_INIT};
    int64_t now = now_us();
    tfw_outcome_t outcome;

    if (!tfw_report_request(run, &w.request, now)) {
        return TFW_PERMANENT;
    }
    entitle(&w, now);
    outcome = w.request.dataset ? tfw_report_dataset(run, &w.request, &w.report, &w.count)
                                : tfw_report_jobs(run, &w.request, &w.report, &w.count);
    if (outcome == TFW_OK && w.report.failed) {
        tfw_run_error(run, "out of memory");
        outcome = TFW_RETRY;
    }
    if (outcome == TFW_OK) {
        outcome = export_all(&w);
    }
    if (outcome == TFW_OK) {
        outcome = write_result(&w);
    }
    tfw_report_free(&w.report);
    tf_buf_free(&w.files);
    return outcome;
}

#define SCHEMA(required)                                                                                     \
    "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{"     \
    "\"report_type\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":64,\"description\":\"what the "      \
    "report is called\",\"examples\":[\"operations\"]},"                                                     \
    "\"user_id\":{\"type\":[\"string\",\"integer\"],\"description\":\"whom it is for; given back in the "    \
    "result\"},"                                                                                             \
    "\"title\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":200,\"description\":\"on the first page; " \
    "the report_type where it is missing\"},"                                                                \
    "\"date_range\":{\"enum\":[\"last_24_hours\",\"last_7_days\",\"last_30_days\",\"today\","                \
    "\"yesterday\"],\"default\":\"last_30_days\",\"description\":\"when the jobs were submitted, UTC\"},"    \
    "\"from\":{\"type\":\"string\",\"maxLength\":40,\"description\":\"instead of date_range: a date, or a "  \
    "time with its zone\",\"examples\":[\"2026-11-01\",\"2026-11-01T08:00:00Z\"]},"                          \
    "\"to\":{\"type\":\"string\",\"maxLength\":40,\"description\":\"a date, which is included, or a time; "  \
    "now where it is missing\"},"                                                                            \
    "\"dataset\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255,\"description\":\"instead of jobs: " \
    "a file of the data directory, as data_processing has it\",\"examples\":[\"sales_q1\"]},"                \
    "\"group_by\":{\"type\":\"string\",\"minLength\":1,\"description\":\"a column of the dataset\"},"        \
    "\"columns\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1},\"minItems\":1,"        \
    "\"maxItems\":64,\"description\":\"only these columns of the dataset\"},"                                \
    "\"format\":{\"enum\":[\"pdf\",\"html\",\"both\"],\"default\":\"pdf\"}},"                                \
    "\"required\":[" required "],\"additionalProperties\":false}"

TF_HANDLER(report_generation) = {
    .type = "report_generation",
    .description = "A report over the jobs of a time, or over a dataset, as PDF or HTML.",
    .payload_schema = SCHEMA("\"report_type\""),
    .max_retries = 2,
    .timeout_seconds = 600,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = report_run,
};

TF_HANDLER(generate_report) = {
    .type = "generate_report",
    .description = "The same as report_generation, for somebody.",
    .payload_schema = SCHEMA("\"report_type\",\"user_id\""),
    .max_retries = 2,
    .timeout_seconds = 600,
    .retry = TFW_RETRY_POWERS_OF_TWO,
    .run = report_run,
};
