/* civil.h: days and dates of the proleptic Gregorian calendar, for every year. */
#ifndef TF_CIVIL_H
#define TF_CIVIL_H

#include <stdbool.h>
#include <stdint.h>

bool tf_leap_year(int64_t year);

/* month 1 to 12; a month that does not exist has 0 days. */
int tf_days_in_month(int64_t year, int month);

/* Days from 1970-01-01 to a date. */
int64_t tf_days_from_civil(int64_t year, int month, int day);

/* The date of that day. */
void tf_civil_from_days(int64_t days, int64_t *year, int *month, int *day);

/* 0 Sunday to 6 Saturday. */
int tf_weekday(int64_t days);

#endif
