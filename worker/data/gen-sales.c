/* gen-sales: writes the dataset sales_q1, the orders of a shop in the first quarter of 2024, as CSV to
 * standard output. The same rows and seed give the same bytes on every machine: money is counted in cents,
 * the random numbers are this file's own, and nothing asks the locale. In every row revenue = units *
 * unit_price * (1 - discount), rounded half up to cents.
 *
 * gen-sales [--rows N] [--seed N] */
#include <errno.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_DEFAULT 50000
#define ROWS_MAX 1000000000
#define SEED_DEFAULT 20240101
#define DAYS 91 /* 2024 is a leap year */
#define FIRST_ORDER 100000

typedef struct {
    const char *name; /* as it stands in the file, quoted where CSV asks for it */
    const char *category;
    int price_cents;
    int weight; /* how often it sells */
} product_t;

static const product_t products[] = {
    {"Laptop", "Computers", 129900, 6},    {"Monitor", "Computers", 32900, 10},
    {"Keyboard", "Accessories", 7990, 18}, {"Mouse", "Accessories", 3450, 22},
    {"Headset", "Accessories", 8995, 14},  {"Phone", "Mobile", 79900, 12},
    {"Tablet", "Mobile", 45900, 8},        {"\"Desk, standing\"", "Furniture", 54900, 4},
    {"Chair", "Furniture", 23900, 6},
};

typedef struct {
    const char *name;
    int weight;
} region_t;

static const region_t regions[] = {
    {"North", 30}, {"South", 20}, {"East", 15}, {"West", 25}, {"Overseas", 10}};

static const int discounts_percent[] = {0, 0, 0, 0, 0, 5, 5, 10, 10, 15, 20};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* 0 to below - 1 (the bias of 64 random bits against a small number is no matter here). */
static int random_below(uint64_t *state, int below)
{
    return (int)(next_random(state) % (uint64_t)below);
}

static const product_t *random_product(uint64_t *state)
{
    int total = 0, at;
    size_t i;

    for (i = 0; i < COUNT(products); i++) {
        total += products[i].weight;
    }
    at = random_below(state, total);
    for (i = 0; at >= products[i].weight; i++) {
        at -= products[i].weight;
    }
    return &products[i];
}

static const region_t *random_region(uint64_t *state)
{
    int total = 0, at;
    size_t i;

    for (i = 0; i < COUNT(regions); i++) {
        total += regions[i].weight;
    }
    at = random_below(state, total);
    for (i = 0; at >= regions[i].weight; i++) {
        at -= regions[i].weight;
    }
    return &regions[i];
}

static void write_row(uint64_t *state, long long row, long long rows)
{
    static const int month_days[] = {31, 29, 31};
    const product_t *product = random_product(state);
    const region_t *region = random_region(state);
    int discount = discounts_percent[random_below(state, (int)COUNT(discounts_percent))];
    /* from 90 to 110 % of the list price; one to nine units, few more often than many */
    long long price = (long long)product->price_cents * (900 + random_below(state, 201)) / 1000;
    int a = random_below(state, 9), b = random_below(state, 9);
    int units = 1 + (a < b ? a : b);
    long long revenue = (units * price * (100 - discount) + 50) / 100;
    int day = (int)(row * DAYS / rows), month = 0; /* orders come in the order of their dates */

    while (month < 2 && day >= month_days[month]) {
        day -= month_days[month++];
    }
    printf("%lld,2024-%02d-%02d,%s,%s,%s,%d,%lld.%02lld,0.%02d,%lld.%02lld\n", FIRST_ORDER + row, month + 1,
           day + 1, region->name, product->name, product->category, units, price / 100, price % 100, discount,
           revenue / 100, revenue % 100);
}

/* A decimal number from min to max, or the program ends with a word about it. */
static long long number_of(const char *option, const char *text, long long min, long long max)
{
    char *end;
    long long number;

    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < min || number > max) {
        fprintf(stderr, "gen-sales: --%s must be an integer from %lld to %lld, not \"%s\"\n", option, min,
                max, text);
        exit(2);
    }
    return number;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"rows", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    long long rows = ROWS_DEFAULT, row;
    uint64_t state = SEED_DEFAULT;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'r':
            rows = number_of("rows", optarg, 0, ROWS_MAX);
            break;
        case 's':
            state = (uint64_t)number_of("seed", optarg, 0, INT64_MAX);
            break;
        default:
            fprintf(option == 'h' ? stdout : stderr,
                    "usage: gen-sales [--rows N] [--seed N] > sales_q1.csv\n");
            return option == 'h' ? 0 : 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "gen-sales: unexpected argument \"%s\"\n", argv[optind]);
        return 2;
    }

    printf("order_id,order_date,region,product,category,units,unit_price,discount,revenue\n");
    for (row = 0; row < rows && !ferror(stdout); row++) {
        write_row(&state, row, rows);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "gen-sales: cannot write: %s\n", strerror(errno));
        return 1;
    }
    return 0;
}
