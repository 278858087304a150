/* The payload of report_generation, checked for what its schema does not say. */
#include <stdio.h>
#include <string.h>

#include "civil.h"
#include "report/report.h"
#include "submission.h"

#define SECOND_US INT64_C(1000000)
#define DAY_US (86400 * SECOND_US)

static bool text_of(tfw_run_t *run, const char *name, size_t max, const char **text)
{
    const json_t *value = json_object_get(tfw_run_payload(run), name);

    if (!value) {
        return true;
    }
    *text = json_string_value(value);
    if (!*text || json_string_length(value) == 0 || json_string_length(value) > max) {
        tfw_run_error(run, "payload: \"%s\" must be a text of 1 to %zu bytes", name, max);
        return false;
    }
    for (const char *p = *text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            tfw_run_error(run, "payload: \"%s\" must have no control characters", name);
            return false;
        }
    }
    return true;
}

/* RFC 3339 with a zone, or a date of UTC: its beginning, or as an end that of the next one. */
static bool moment(tfw_run_t *run, const char *name, const char *text, bool end, int64_t *us)
{
    int year, month, day, used = 0;

    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) == 3 && used == 10 && text[10] == '\0' &&
        month >= 1 && month <= 12 && day >= 1 && day <= tf_days_in_month(year, month)) {
        *us = (tf_days_from_civil(year, month, day) + end) * DAY_US;
        return true;
    }
    if (tf_time_parse(text, strlen(text), us)) {
        return true;
    }
    tfw_run_error(run, "payload: \"%s\" must be a date like 2026-11-22, or a time like 2026-11-22T13:00:00Z",
                  name);
    return false;
}

static bool own_range(tfw_run_t *run, tfw_report_request_t *r, const char *from, const char *to,
                      int64_t now_us)
{
    r->to_us = now_us;
    if (!from) {
        tfw_run_error(run, "payload: \"to\" without \"from\"");
        return false;
    }
    if (!moment(run, "from", from, false, &r->from_us) || (to && !moment(run, "to", to, true, &r->to_us))) {
        return false;
    }
    if (r->from_us < 0 || r->to_us <= r->from_us || r->to_us - r->from_us > TFW_REPORT_RANGE_DAYS * DAY_US) {
        tfw_run_error(run, "payload: \"to\" must be after \"from\", by %d days at most",
                      TFW_REPORT_RANGE_DAYS);
        return false;
    }
    r->date_range = "range";
    return true;
}

static bool named_range(tfw_run_t *run, tfw_report_request_t *r, int64_t now_us)
{
    static const struct {
        const char *name;
        int64_t us;
    } ranges[] = {{"last_24_hours", DAY_US}, {"last_7_days", 7 * DAY_US}, {"last_30_days", 30 * DAY_US}};
    int64_t today = now_us - now_us % DAY_US;

    r->to_us = now_us;
    if (strcmp(r->date_range, "today") == 0) {
        r->from_us = today;
        return true;
    }
    if (strcmp(r->date_range, "yesterday") == 0) {
        r->from_us = today - DAY_US;
        r->to_us = today;
        return true;
    }
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (strcmp(r->date_range, ranges[i].name) == 0) {
            r->from_us = now_us - ranges[i].us;
            return true;
        }
    }
    tfw_run_error(
        run, "payload: \"date_range\" must be last_24_hours, last_7_days, last_30_days, today or yesterday");
    return false;
}

static bool take_format(tfw_run_t *run, tfw_report_request_t *r)
{
    const char *format = "pdf";

    if (!text_of(run, "format", 8, &format)) {
        return false;
    }
    r->pdf = strcmp(format, "html") != 0;
    r->html = strcmp(format, "pdf") != 0;
    if (r->pdf && r->html && strcmp(format, "both") != 0) {
        tfw_run_error(run, "payload: \"format\" must be pdf, html or both");
        return false;
    }
    return true;
}

bool tfw_report_request(tfw_run_t *run, tfw_report_request_t *r, int64_t now_us)
{
    const json_t *payload = tfw_run_payload(run);
    const char *from = NULL, *to = NULL;

    *r = (tfw_report_request_t){.date_range = "last_30_days",
                                .user_id = json_object_get(payload, "user_id"),
                                .columns = json_object_get(payload, "columns")};
    if (!text_of(run, "report_type", TFW_REPORT_NAME_MAX, &r->report_type) ||
        !text_of(run, "title", TFW_REPORT_TITLE_MAX, &r->title) ||
        !text_of(run, "date_range", 32, &r->date_range) || !text_of(run, "from", 40, &from) ||
        !text_of(run, "to", 40, &to) || !text_of(run, "dataset", 255, &r->dataset) ||
        !text_of(run, "group_by", 1024, &r->group_by) || !take_format(run, r)) {
        return false;
    }
    if (!r->report_type) {
        tfw_run_error(run, "payload: \"report_type\" is missing");
        return false;
    }
    if (!r->dataset && (r->group_by || r->columns)) {
        tfw_run_error(run, "payload: \"group_by\" and \"columns\" are of a \"dataset\"");
        return false;
    }
    if (r->dataset && (from || to)) {
        tfw_run_error(run, "payload: \"from\" and \"to\" are of jobs; a \"dataset\" is taken whole");
        return false;
    }
    if (from || to) {
        if (json_object_get(payload, "date_range")) {
            tfw_run_error(run, "payload: either \"date_range\" or \"from\" and \"to\"");
            return false;
        }
        return own_range(run, r, from, to, now_us);
    }
    return named_range(run, r, now_us);
}
