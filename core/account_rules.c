#include "account_rules.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "buf.h"

/* Of the commonest passwords of public lists those that are long enough to be taken otherwise. Lower case. */
static const char *const common[] = {
    "1q2w3e4r5t",    "1qaz2wsx3edc", "adminadmin",
    "administrator", "changeme123",  "correcthorsebatterystaple",
    "football123",   "iloveyou123",  "letmein123",
    "password12",    "password123",  "password1234",
    "password12345", "passw0rd123",  "p@ssw0rd123",
    "p@ssword123",   "princess123",  "qazwsxedcrfv",
    "qwerty12345",   "qwerty123456", "secret1234",
    "superman123",   "sunshine123",  "taskforge123",
    "test123456",    "testtest123",  "trustno1234",
    "welcome123",    "welcome1234",  "whatever123",
    "zaq12wsxcde3",  "1234qwerasdf", "abc1234567",
    "abcd123456",    "aa12345678",   "qwer123456",
    "monkey12345",   "dragon12345",  "master12345",
    "baseball123",   "michael123",   "charlie123",
};

/* A password that is a piece of one of these, read either way, is a guess as well. */
static const char *const runs[] = {
    "012345678901234567890123456789",  "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",      "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik", "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
};

const char *tf_username_check(const char *name, size_t len)
{
    if (len < TF_USERNAME_MIN || len > TF_USERNAME_MAX) {
        return "must have 3 to 64 characters";
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)name[i];

        if (c >= 0x80 || (!isalnum(c) && c != '_' && c != '.' && c != '-')) {
            return "must be of letters, digits and _ . -";
        }
    }
    return NULL;
}

const char *tf_email_check(const char *email, size_t len)
{
    static const char shape[] = "must look like name@example.com";
    const char *at, *domain, *dot;
    size_t domain_len;

    if (len > TF_EMAIL_MAX) {
        return "must have at most 254 characters";
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)email[i];

        if (c <= ' ' || c >= 0x7f || strchr("<>()[],;:\\\"", c) != NULL) {
            return shape;
        }
    }
    at = memchr(email, '@', len);
    if (at == NULL || at == email || at - email > 64) {
        return shape;
    }
    domain = at + 1;
    domain_len = len - (size_t)(domain - email);
    dot = domain_len ? memrchr(domain, '.', domain_len) : NULL;
    if (memchr(domain, '@', domain_len) != NULL || dot == NULL || dot == domain || domain[0] == '.' ||
        dot + 1 == domain + domain_len || memmem(domain, domain_len, "..", 2) != NULL) {
        return shape;
    }
    return NULL;
}

static bool same(const char *a, size_t a_len, const char *b, size_t b_len)
{
    return b != NULL && a_len == b_len && strncasecmp(a, b, a_len) == 0;
}

static bool in_a_run(const char *lower, size_t len)
{
    char reversed[TF_PASSWORD_BYTES];

    for (size_t i = 0; i < len; i++) {
        reversed[i] = lower[len - 1 - i];
    }
    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        if (memmem(runs[i], strlen(runs[i]), lower, len) != NULL ||
            memmem(runs[i], strlen(runs[i]), reversed, len) != NULL) {
            return true;
        }
    }
    return false;
}

/* One to three characters again and again: aaaaaaaaaa, 1212121212, abcabcabcabc. */
static bool repeats(const char *text, size_t len)
{
    for (size_t period = 1; period <= 3; period++) {
        if (memcmp(text, text + period, len - period) == 0) {
            return true;
        }
    }
    return false;
}

const char *tf_password_check(const char *password, size_t len, const char *username, size_t username_len,
                              const char *email, size_t email_len)
{
    char lower[TF_PASSWORD_BYTES];
    size_t characters = 0;
    const char *at, *guess = "is among the first that are guessed", *why = NULL;

    if (!tf_utf8_valid(password, len)) {
        return "must be UTF-8 without NUL";
    }
    for (size_t i = 0; i < len; i++) {
        characters += ((unsigned char)password[i] & 0xc0) != 0x80;
    }
    if (characters < TF_PASSWORD_MIN || characters > TF_PASSWORD_MAX || len > TF_PASSWORD_BYTES) {
        return "must have 10 to 128 characters";
    }
    at = email ? memchr(email, '@', email_len) : NULL;
    if (same(password, len, username, username_len) || same(password, len, email, email_len) ||
        (at != NULL && same(password, len, email, (size_t)(at - email)))) {
        return "must not be the username or the e-mail address";
    }
    for (size_t i = 0; i < len; i++) {
        lower[i] = (char)tolower((unsigned char)password[i]);
    }
    if (repeats(lower, len) || in_a_run(lower, len)) {
        why = guess;
    }
    for (size_t i = 0; why == NULL && i < sizeof(common) / sizeof(common[0]); i++) {
        if (same(lower, len, common[i], strlen(common[i]))) {
            why = guess;
        }
    }
    explicit_bzero(lower, sizeof(lower));
    return why;
}
