#include "rates.h"

#define SECOND_US 1000000

/* i: 0 is the latest that was kept. */
static const tfw_reading_t *kept(const tfw_rates_t *rates, uint32_t i)
{
    return &rates->kept[(rates->nkept - 1 - i) % TFW_RATES_KEPT];
}

/* The latest one that is a window old, or else the oldest one. */
static const tfw_reading_t *base(const tfw_rates_t *rates, int64_t now_us)
{
    uint32_t n = rates->nkept < TFW_RATES_KEPT ? rates->nkept : TFW_RATES_KEPT, i = 0;

    while (i + 1 < n && now_us - kept(rates, i)->at_us < TFW_RATES_WINDOW_US) {
        i++;
    }
    return kept(rates, i);
}

static double per_second(int64_t from, int64_t to, int64_t span_us)
{
    return (double)(to - from) * SECOND_US / (double)(span_us > SECOND_US ? span_us : SECOND_US);
}

tfw_per_second_t tfw_rates_read(tfw_rates_t *rates, const tfw_reading_t *now)
{
    tfw_per_second_t result = {0};

    if (rates->nkept > 0) {
        const tfw_reading_t *from = base(rates, now->at_us);
        int64_t span_us = now->at_us - from->at_us;

        result.processed = per_second(from->processed, now->processed, span_us);
        result.failed = per_second(from->failed, now->failed, span_us);
        result.cpu_percent = per_second(from->cpu_us, now->cpu_us, span_us) * 100 / SECOND_US;
    }
    if (rates->nkept == 0 || now->at_us - kept(rates, 0)->at_us >= TFW_RATES_STEP_US) {
        rates->kept[rates->nkept++ % TFW_RATES_KEPT] = *now;
    }
    return result;
}
