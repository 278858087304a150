#include "exec_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 12 /* digits */

void tfw_exec_lines_init(tfw_exec_lines_t *lines, tfw_run_t *run)
{
    lines->run = run;
    lines->len = 0;
    lines->last[0] = '\0';
}

/* What follows the directive `name` and a blank in the line, or NULL. */
static const char *argument(const char *line, const char *name)
{
    size_t len = strlen(name);

    return strncmp(line, "::", 2) == 0 && strncmp(line + 2, name, len) == 0 && line[2 + len] == ' '
               ? line + 2 + len + 1
               : NULL;
}

/* -1: not a number and nothing else. */
static int64_t number(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits && digits <= NUMBER_MAX && !text[digits] ? strtoll(text, NULL, 10) : -1;
}

/* false: it is none, and goes into the log as it is. */
static bool obey(tfw_run_t *run, const char *line)
{
    const char *value = argument(line, "progress");
    int64_t n;

    if (value && (n = number(value)) >= 0 && n <= 100) {
        tfw_run_progress(run, (int)n);
        return true;
    }
    value = argument(line, "retry-after");
    if (value && (n = number(value)) >= 0) {
        tfw_run_retry_after(run, n);
        return true;
    }
    return false;
}

static void end_line(tfw_exec_lines_t *lines)
{
    static const char *const levels[] = {"debug", "info", "warning", "error"};
    const char *level = "info", *text = lines->line;

    if (lines->len && lines->line[lines->len - 1] == '\r') {
        lines->len--;
    }
    lines->line[lines->len] = '\0';
    if (lines->len && !obey(lines->run, lines->line)) {
        for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
            const char *said = argument(lines->line, levels[i]);

            if (said) {
                level = levels[i];
                text = said;
            }
        }
        tfw_run_log(lines->run, level, "%s", text);
        snprintf(lines->last, sizeof(lines->last), "%.*s", TFW_EXEC_LAST_MAX - 1, text);
    }
    lines->len = 0;
}

void tfw_exec_lines_add(tfw_exec_lines_t *lines, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n' || lines->len == sizeof(lines->line) - 1) {
            end_line(lines);
        }
        if (bytes[i] != '\n') {
            lines->line[lines->len] = bytes[i];
            if (!bytes[i]) {
                lines->line[lines->len] = '?';
            }
            lines->len++;
        }
    }
}

void tfw_exec_lines_end(tfw_exec_lines_t *lines)
{
    end_line(lines);
}

const char *tfw_exec_lines_last(const tfw_exec_lines_t *lines)
{
    return lines->last;
}
