/* file_conversion: a file in another format. docs/handlers.md says what goes in and comes out; the
 * conversions themselves are in worker/convert/. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "convert/conversion.h"
#include "convert/format.h"
#include "files.h"
#include "handler.h"
#include "http_call.h"
#include "name.h"
#include "uuid.h"
#include "write_all.h"

#define INPUT_NAME_MAX TF_URL_MAX /* bytes */
#define FETCH_TIMEOUT_MS 120000
#define FETCH_REDIRECTS 5

static struct {
    int64_t max_bytes;
    int64_t megapixels;
} settings;

static const tf_setting_t table[] = {
    {"TASKFORGE_CONVERSION_MAX_BYTES", TF_SETTING_INT, 0, "268435456", 1024, (int64_t)1 << 32,
     "bytes of a file that is converted, unpacked too"},
    {"TASKFORGE_CONVERSION_MEGAPIXELS", TF_SETTING_INT, sizeof(int64_t), "50", 1, 1000,
     "megapixels of an image that is read or written"},
};

TF_HANDLER_SETTINGS(file_conversion) = {table, sizeof(table) / sizeof(table[0]), &settings, NULL};

/* The payload. Texts belong to it. */
typedef struct {
    const char *input;
    tfw_format_t from;               /* TFW_FORMAT_NONE: not said */
    tfw_format_t to;                 /* TFW_FORMAT_NONE: not said, until the input's is known */
    char name[TF_FILE_NAME_MAX + 1]; /* of the file that is made; "": not said */
    const json_t *options;
} request_t;

static tfw_outcome_t wrong(tfw_run_t *run, const char *what)
{
    tfw_run_error(run, "payload: %s", what);
    return TFW_PERMANENT;
}

static bool is_url(const char *input)
{
    return strncasecmp(input, "http://", 7) == 0 || strncasecmp(input, "https://", 8) == 0;
}

/* One of two names of a member; NULL: neither is there, or both. */
static const json_t *either(const json_t *payload, const char *name, const char *other)
{
    const json_t *a = json_object_get(payload, name), *b = json_object_get(payload, other);

    return a && b ? NULL : a ? a : b;
}

static tfw_format_t format_in(const json_t *text)
{
    return tfw_format_parse(json_is_string(text) ? json_string_value(text) : "", json_string_length(text));
}

static tfw_outcome_t read_payload(tfw_run_t *run, request_t *r)
{
    static const char *const members[] = {"input", "filename", "to", "format", "from", "name", "options"};
    const json_t *payload = tfw_run_payload(run), *input = either(payload, "input", "filename"),
                 *to = either(payload, "to", "format"), *from = json_object_get(payload, "from"),
                 *name = json_object_get(payload, "name");
    size_t i, known = 0;

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        known += json_object_get(payload, members[i]) != NULL;
    }
    if (known != json_object_size(payload)) {
        return wrong(run, "has a member that is none of input, to, from, name and options");
    }
    if (!json_is_string(input) || json_string_length(input) == 0 ||
        json_string_length(input) > INPUT_NAME_MAX) {
        return wrong(run, "\"input\" (or \"filename\") must be a path or a URL");
    }
    r->input = json_string_value(input);
    r->to = format_in(to);
    if (r->to == TFW_FORMAT_NONE && (json_object_get(payload, "to") || json_object_get(payload, "format"))) {
        return wrong(run, "\"to\" (or \"format\") must be the name of a format");
    }
    r->from = format_in(from);
    if (from && r->from == TFW_FORMAT_NONE) {
        return wrong(run, "\"from\" must be the name of a format");
    }
    if (name &&
        (!json_is_string(name) || !tf_file_name_valid(json_string_value(name), json_string_length(name)))) {
        return wrong(run,
                     "\"name\" must be 1 to 128 letters, digits, '.', '_' and '-', and not begin with '.'");
    }
    snprintf(r->name, sizeof(r->name), "%s", name ? json_string_value(name) : "");
    r->options = json_object_get(payload, "options");
    return !r->options || json_is_object(r->options) ? TFW_OK : wrong(run, "\"options\" must be an object");
}

/* ---- the input ---- */

typedef struct {
    int fd;
    int64_t written;
    int error; /* errno of a write that failed; 0: none did */
} fetch_t;

static bool on_body(void *data, const tfw_http_answer_t *answer, const char *bytes, size_t len)
{
    fetch_t *f = data;

    if (!tfw_write_all(f->fd, bytes, len)) {
        f->error = errno;
        return false;
    }
    f->written += (int64_t)len;
    return true;
}

static bool may_change(int status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

/* What the answer means; type: its media type. */
static tfw_outcome_t judge(tfw_run_t *run, const tfw_http_answer_t *answer, const fetch_t *fetch)
{
    if (answer->cancelled) {
        return TFW_CANCELLED;
    }
    if (fetch->error) {
        tfw_run_error(run, "cannot write a temporary file: %s", strerror(fetch->error));
        return TFW_RETRY;
    }
    if (answer->status == 0) {
        tfw_run_error(run, "%s", answer->error);
        return answer->refused ? TFW_PERMANENT : TFW_RETRY;
    }
    if (answer->status < 200 || answer->status > 299) {
        tfw_run_error(run, "the server answered HTTP %d", answer->status);
        if (answer->retry_after_seconds >= 0) {
            tfw_run_retry_after(run, answer->retry_after_seconds);
        }
        return may_change(answer->status) ? TFW_RETRY : TFW_PERMANENT;
    }
    if (answer->cut) {
        tfw_run_error(run, "the file is larger than %lld bytes", (long long)settings.max_bytes);
        return TFW_PERMANENT;
    }
    return TFW_OK;
}

/* Fetches the URL into a temporary file. hint: what its path or its media type says. */
static tfw_outcome_t fetch(tfw_run_t *run, const request_t *r, int *fd, tfw_format_t *hint)
{
    fetch_t fetch = {.fd = tfw_run_temp_file(run)};
    tfw_http_request_t request = {.url = r->input,
                                  .timeout_ms = FETCH_TIMEOUT_MS,
                                  .redirects = FETCH_REDIRECTS,
                                  .decode = true,
                                  .read_max = (size_t)settings.max_bytes,
                                  .on_body = on_body,
                                  .data = &fetch};
    tfw_http_answer_t answer;
    tfw_outcome_t outcome;

    if (fetch.fd < 0) {
        return TFW_RETRY;
    }
    *fd = fetch.fd;
    tfw_http_call(run, &request, &answer);
    outcome = judge(run, &answer, &fetch);
    if (outcome == TFW_OK) {
        tfw_run_log(run, "info", "fetched %lld bytes", (long long)fetch.written);
        *hint = tfw_format_of_path(strchr(answer.url + 8, '/') ? strchr(answer.url + 8, '/') : "");
        *hint = *hint ? *hint : tfw_format_of_content_type(answer.content_type);
    }
    tfw_http_answer_free(&answer);
    return outcome;
}

/* Opens the input. */
static tfw_outcome_t open_input(tfw_run_t *run, const request_t *r, tfw_input_t *in, tfw_format_t *hint)
{
    tfw_outcome_t outcome;
    struct stat st;

    if (is_url(r->input)) {
        outcome = fetch(run, r, &in->fd, hint);
        if (outcome != TFW_OK) {
            return outcome;
        }
    } else {
        *hint = tfw_format_of_path(r->input);
        in->fd = tfw_run_open_data(run, r->input);
        if (in->fd < 0) {
            return TFW_PERMANENT;
        }
    }
    if (fstat(in->fd, &st) != 0) {
        tfw_run_error(run, "%s: %s", r->input, strerror(errno));
        return TFW_RETRY;
    }
    if (st.st_size == 0 || st.st_size > settings.max_bytes) {
        tfw_run_error(run, st.st_size ? "%s: the file is larger than %lld bytes" : "%s: the file is empty",
                      r->input, (long long)settings.max_bytes);
        return TFW_PERMANENT;
    }
    in->size = (uint64_t)st.st_size;
    return TFW_OK;
}

/* ---- the output ---- */

/* "photo.jpg" becomes "photo.png"; what a name may not have becomes '_'. */
static void name_output(request_t *r)
{
    const char *path = is_url(r->input) ? r->input + 8 : r->input, *extension = tfw_format_extension(r->to);
    size_t end = strcspn(path, is_url(r->input) ? "?#" : ""), from = end, stop, i, len = 0;

    while (from > 0 && path[from - 1] != '/') {
        from--;
    }
    if (is_url(r->input) && from == 0) {
        from = end; /* nothing but a host */
    }
    for (stop = end; stop > from && path[stop] != '.'; stop--) {
    }
    stop = stop > from ? stop : end;
    for (i = from; i < stop && len < sizeof(r->name) - 8; i++) {
        char c = path[i];
        bool fine = tf_name_char(c) && (c != '.' || len > 0);

        r->name[len++] = (char)(fine ? c : '_');
    }
    snprintf(r->name + len, sizeof(r->name) - len, "%s.%s", len ? "" : "file", extension);
}

static void give_result(tfw_run_t *run, const request_t *r, const tfw_conversion_t *conversion, int64_t bytes)
{
    char id[TF_UUID_TEXT_LEN], url[TF_FILE_NAME_MAX + 64];
    const tfw_table_facts_t *t = &conversion->table;
    tf_buf_t out = TF_BUF_INIT;

    tf_uuid_format(tfw_run_id(run), id);
    snprintf(url, sizeof(url), "/api/v1/jobs/%.*s/files/%s", (int)sizeof(id), id, r->name);
    tf_buf_addc(&out, '{');
    tf_json_kcstr(&out, "status", "completed");
    tf_json_kcstr(&out, "input", r->input);
    tf_json_kcstr(&out, "from", tfw_format_name(conversion->from));
    tf_json_kcstr(&out, "to", tfw_format_name(r->to));
    tf_json_kcstr(&out, "file", r->name);
    tf_json_kcstr(&out, "file_url", url);
    tf_json_kint(&out, "bytes", bytes);
    if (tfw_format_family(conversion->from) == TFW_FAMILY_TABLE) {
        tf_json_kint(&out, "rows", t->rows);
        tf_json_kint(&out, "columns", (int64_t)t->columns);
        if (*t->sheet) {
            tf_json_kcstr(&out, "sheet", t->sheet);
        }
    }
    if (r->to == TFW_FORMAT_PDF) {
        tf_json_kint(&out, "pages", conversion->pages);
    }
    if (tfw_format_family(conversion->from) == TFW_FAMILY_IMAGE) {
        tf_json_kint(&out, "width", conversion->image.width);
        tf_json_kint(&out, "height", conversion->image.height);
        tf_json_kint(&out, "pages", conversion->image.pages);
    }
    tf_buf_addc(&out, '}');
    tfw_run_result(run, tf_buf_cstr(&out), out.len);
    tf_buf_free(&out);
}

/* Stores what was made. */
static tfw_outcome_t store(tfw_run_t *run, request_t *r, const tfw_conversion_t *conversion)
{
    static const char utf8[] = "; charset=utf-8";
    const char *type = tfw_format_content_type(r->to);
    char content_type[TFW_FILE_TYPE_MAX + 1];
    struct stat st;

    if (!*r->name) {
        name_output(r);
    }
    snprintf(content_type, sizeof(content_type), "%s%s", type, strncmp(type, "text/", 5) == 0 ? utf8 : "");
    if (fstat(conversion->out_fd, &st) != 0 ||
        !tfw_run_file(run, r->name, content_type, conversion->out_fd)) {
        return TFW_RETRY;
    }
    tfw_run_log(run, "info", "made %s, %lld bytes", r->name, (long long)st.st_size);
    give_result(run, r, conversion, st.st_size);
    return TFW_OK;
}

/* ---- the run ---- */

static bool on_cancelled(void *run)
{
    return tfw_run_cancelled(run);
}

static void on_progress(void *run, int percent)
{
    tfw_run_progress(run, percent);
}

/* What the input is, and what is to become of it. false: the conversion has failed. */
static bool find_formats(tfw_run_t *run, request_t *r, tfw_conversion_t *conversion, tfw_format_t hint)
{
    tfw_convert_t *c = &conversion->convert;

    conversion->from = tfw_format_detect(c, &conversion->in, r->from ? r->from : hint,
                                         r->from            ? "\"from\""
                                         : is_url(r->input) ? "the URL"
                                                            : "the extension");
    if (!conversion->from) {
        return false;
    }
    r->to = r->to ? r->to : tfw_format_usual(conversion->from);
    conversion->to = r->to;
    if (!tfw_conversion_options(conversion, r->options)) {
        return false;
    }
    tfw_run_log(run, "info", "%s, %llu bytes, to %s", tfw_format_name(conversion->from),
                (unsigned long long)conversion->in.size, tfw_format_name(r->to));
    return true;
}

static tfw_outcome_t convert(tfw_run_t *run, request_t *r, tfw_conversion_t *conversion, tfw_format_t hint)
{
    tfw_convert_t *c = &conversion->convert;
    bool known = find_formats(run, r, conversion, hint);

    if (known && r->to == TFW_FORMAT_PDF) {
        conversion->render = tfw_render(run);
        if (!conversion->render) {
            return TFW_RETRY;
        }
    }
    if (!known || !tfw_conversion_run(conversion)) {
        if (c->outcome != TFW_CANCELLED) {
            tfw_run_error(run, "%s: %s", r->input, c->error);
        }
        return c->outcome;
    }
    return tfw_run_cancelled(run) ? TFW_CANCELLED : store(run, r, conversion);
}

static tfw_outcome_t file_conversion_run(tfw_run_t *run)
{
    request_t r = {.from = TFW_FORMAT_NONE};
    tfw_conversion_t conversion = {.convert = {.cancelled = on_cancelled,
                                               .progress = on_progress,
                                               .data = run,
                                               .output_max = (uint64_t)tfw_files_max_bytes(),
                                               .unpacked_max = (uint64_t)settings.max_bytes},
                                   .image_options = {.megapixels = (int)settings.megapixels},
                                   .in = {.fd = -1},
                                   .out_fd = -1};
    tfw_format_t hint = TFW_FORMAT_NONE;
    tfw_outcome_t outcome = read_payload(run, &r);

    if (outcome == TFW_OK) {
        conversion.input = r.input;
        outcome = open_input(run, &r, &conversion.in, &hint);
    }
    if (outcome == TFW_OK) {
        conversion.out_fd = tfw_run_temp_file(run);
        outcome = conversion.out_fd >= 0 ? convert(run, &r, &conversion, hint) : TFW_RETRY;
    }
    if (conversion.in.fd >= 0) {
        close(conversion.in.fd);
    }
    if (conversion.out_fd >= 0) {
        close(conversion.out_fd);
    }
    return outcome;
}

/* clang-format off */
#define TO \
    "\"enum\":[\"png\",\"jpeg\",\"jpg\",\"webp\",\"csv\",\"tsv\",\"json\",\"jsonl\",\"ndjson\",\"xlsx\",\"html\",\"pdf\"]"

#define FROM                                                                                                 \
    "\"enum\":[\"png\",\"jpeg\",\"jpg\",\"webp\",\"gif\",\"tiff\",\"svg\",\"csv\",\"tsv\",\"json\","         \
    "\"jsonl\",\"ndjson\",\"xlsx\",\"ods\",\"markdown\",\"md\",\"text\",\"txt\"]"

#define INPUT "\"type\":\"string\",\"minLength\":1,\"maxLength\":2048"

#define PIXELS "\"type\":\"integer\",\"minimum\":1,\"maximum\":16383"

#define OPTIONS \
    "\"width\":{" PIXELS ",\"description\":\"of an image, in pixels\"}," \
    "\"height\":{" PIXELS ",\"description\":\"of an image, in pixels\"}," \
    "\"fit\":{\"enum\":[\"inside\",\"cover\",\"fill\"],\"default\":\"inside\"," \
        "\"description\":\"how an image gets a width and a height: within them, covering them (cropped), or stretched\"}," \
    "\"quality\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":100,\"default\":82," \
        "\"description\":\"of JPEG and WebP\"}," \
    "\"strip\":{\"type\":\"boolean\",\"default\":true,\"description\":\"leave out the metadata of an image\"}," \
    "\"background\":{\"type\":\"string\",\"minLength\":7,\"maxLength\":7,\"default\":\"#ffffff\"," \
        "\"description\":\"colour behind what is transparent, for JPEG\"}," \
    "\"delimiter\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":1,\"default\":\",\"," \
        "\"description\":\"between the fields of a CSV\"}," \
    "\"numbers\":{\"type\":\"boolean\",\"default\":true," \
        "\"description\":\"fields of a CSV that are numbers become numbers\"}," \
    "\"sheet\":{\"type\":[\"string\",\"integer\"]," \
        "\"description\":\"of a spreadsheet: its name, or its number from 1\"}," \
    "\"title\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":500,\"description\":\"of a document\"}"

TF_HANDLER(file_conversion) = {
    .type = "file_conversion",
    .description = "A file in another format: images, tables (CSV, JSON, spreadsheets), Markdown and texts.",
    .payload_schema =
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"type\":\"object\",\"properties\":{"
        "\"input\":{" INPUT ",\"description\":\"a path in the data directory, or a URL\","
            "\"examples\":[\"sales_q1.csv\"]},"
        "\"to\":{" TO ",\"description\":\"the format to make; default: of an image png (of a PNG jpeg), of CSV "
            "and TSV json, of other tables csv, of Markdown html, of a text pdf\",\"examples\":[\"xlsx\"]},"
        "\"from\":{" FROM ",\"description\":\"the format of the input, where its name does not say so\"},"
        "\"name\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":128,"
            "\"description\":\"of the file that is made\"},"
        "\"options\":{\"type\":\"object\",\"description\":\"each goes with some formats\","
            "\"properties\":{" OPTIONS "},\"additionalProperties\":false},"
        "\"filename\":{" INPUT ",\"description\":\"another name of input\",\"deprecated\":true},"
        "\"format\":{" TO ",\"description\":\"another name of to\",\"deprecated\":true}},"
        "\"anyOf\":[{\"required\":[\"input\"]},{\"required\":[\"filename\"]}],\"additionalProperties\":false}",
    .max_retries = 3,
    .timeout_seconds = 300,
    .retry = {TF_RETRY_BASE_MS, TF_RETRY_MAX_MS, true},
    .run = file_conversion_run,
};
/* clang-format on */
