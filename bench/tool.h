/* tool.h: what the load tools share: how they end, read numbers and files, and tell the time. */
#ifndef BENCH_TOOL_H
#define BENCH_TOOL_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Ends the tool: errno, at what. */
static inline void die(const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
    exit(1);
}

static inline int64_t now_ns(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* All of a file, and a NUL behind it; the caller's. len: its bytes, NULL: not wanted. Dies where it cannot be
 * read. */
static inline char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        die(path);
    }
    long size = ftell(file);
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0) {
        die(path);
    }
    char *text = malloc((size_t)size + 1);
    if (!text || fread(text, 1, (size_t)size, file) != (size_t)size) {
        die(path);
    }
    text[size] = '\0';
    fclose(file);
    if (len) {
        *len = (size_t)size;
    }
    return text;
}

/* The integer of an option; ends the tool where it is none, or is not within the bounds. */
static inline long number(const char *text, long min, long max)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < min || value > max) {
        fprintf(stderr, "%s: \"%s\" is not an integer from %ld to %ld\n", program_invocation_short_name, text,
                min, max);
        exit(2);
    }
    return value;
}

#endif
