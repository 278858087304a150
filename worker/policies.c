#include "policies.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue.h"
#include "submission.h"

#define ITEM_MAX 200
#define SECONDS_MAX 86400

/* A number from 0 to max at *p, behind which *p then is. Negative: there is none. */
static double number(const char **p, double max)
{
    char *end;
    double n = isdigit((unsigned char)**p) ? strtod(*p, &end) : -1;

    if (!(n >= 0 && n <= max)) {
        return -1;
    }
    *p = end;
    return n;
}

static bool skip(const char **p, char c)
{
    bool there = **p == c;

    *p += there;
    return there;
}

/* "5:2:3600", "5:2:3600:exact" */
static bool read_policy(const char *text, int *max_retries, tf_retry_policy_t *policy)
{
    const char *p = text;
    double retries = number(&p, TF_MAX_RETRIES_MAX), base = -1, max = -1;

    if (skip(&p, ':')) {
        base = number(&p, SECONDS_MAX);
    }
    if (base >= 0 && skip(&p, ':')) {
        max = number(&p, SECONDS_MAX);
    }
    if (retries != floor(retries) || max < base || max < 0 || (*p && strcmp(p, ":exact") != 0)) {
        return false;
    }
    *max_retries = (int)retries;
    *policy = (tf_retry_policy_t){llround(base * 1000), llround(max * 1000), *p == '\0'};
    return true;
}

/* One "type=policy". */
static bool set_policy(const char *item, char *error, size_t error_size)
{
    const char *equals = strchr(item, '=');
    int index = equals ? tfw_catalogue_find(item, (size_t)(equals - item)) : -1, max_retries;
    tf_retry_policy_t policy;

    if (!equals || equals == item) {
        snprintf(error, error_size, "TASKFORGE_TYPE_RETRY: \"%s\" is not type=retries:seconds:most", item);
        return false;
    }
    if (index < 0) {
        snprintf(error, error_size, "TASKFORGE_TYPE_RETRY: this worker has no type \"%.*s\"",
                 (int)(equals - item), item);
        return false;
    }
    if (!read_policy(equals + 1, &max_retries, &policy)) {
        snprintf(error, error_size,
                 "TASKFORGE_TYPE_RETRY: \"%s\": not a number of retries from 0 to %d, the seconds before the "
                 "first and the most between two (0 to %d, the most not less), as in 5:2:3600 or "
                 "5:2:3600:exact",
                 item, TF_MAX_RETRIES_MAX, SECONDS_MAX);
        return false;
    }
    tfw_catalogue_set_retry(index, max_retries, policy);
    return true;
}

bool tfw_policies_init(const char *list, char *error, size_t error_size)
{
    while (*list) {
        char item[ITEM_MAX];
        size_t len = strcspn(list, ",");

        snprintf(item, sizeof(item), "%.*s", (int)(len < sizeof(item) ? len : sizeof(item)), list);
        if (len >= sizeof(item)) {
            snprintf(error, error_size, "TASKFORGE_TYPE_RETRY: \"%.40s...\" is too long", item);
            return false;
        }
        if (!set_policy(item, error, error_size)) {
            return false;
        }
        list += len;
        list += *list == ',';
    }
    return true;
}
