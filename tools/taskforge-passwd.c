/* taskforge-passwd [--any] [USERNAME [EMAIL]]: reads a password from standard input (the first line) and
 * prints its argon2id hash in the encoded form, for users.password_hash. A password that the API would refuse
 * is refused here too; --any takes every one. Exit 1: refused or failed, 2: wrong usage. */
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "account_rules.h"

/* The defaults of taskforge_accounts; who set others gets them at the first login. */
#define MEMORY_BYTES (7 << 20)
#define PASSES 5

/* All of standard input up to a newline. -1: it is too long or cannot be read. */
static ssize_t read_line(char *line, size_t size)
{
    size_t len = 0;

    while (len < size) {
        ssize_t n = read(STDIN_FILENO, line + len, size - len);
        char *end;

        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            return (ssize_t)len;
        }
        end = memchr(line + len, '\n', (size_t)n);
        if (end != NULL) {
            return end - line;
        }
        len += (size_t)n;
    }
    return -1;
}

static int hash(const char *password, size_t len)
{
    char encoded[crypto_pwhash_STRBYTES];

    if (sodium_init() < 0 || crypto_pwhash_str_alg(encoded, password, len, PASSES, MEMORY_BYTES,
                                                   crypto_pwhash_ALG_ARGON2ID13) != 0) {
        perror("taskforge-passwd: the password could not be hashed");
        return 1;
    }
    return puts(encoded) < 0 || fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    char line[TF_PASSWORD_BYTES + 2];
    const char *name = NULL, *email = NULL, *why = NULL;
    int any = argc > 1 && strcmp(argv[1], "--any") == 0, rc = 1;
    ssize_t len;

    if (argc - any > 3 || (argc - any > 1 && argv[1 + any][0] == '-')) {
        fputs("usage: taskforge-passwd [--any] [USERNAME [EMAIL]] <PASSWORD\n", stderr);
        return 2;
    }
    if (argc - any > 1) {
        name = argv[1 + any];
    }
    if (argc - any > 2) {
        email = argv[2 + any];
    }
    len = read_line(line, sizeof(line));
    if (len < 0) {
        why = "cannot be read, or is too long";
    } else if (!any) {
        why = tf_password_check(line, (size_t)len, name, name ? strlen(name) : 0, email,
                                email ? strlen(email) : 0);
    } else if (len == 0) {
        why = "is empty";
    }
    if (why != NULL) {
        fprintf(stderr, "taskforge-passwd: the password %s\n", why);
    } else {
        rc = hash(line, (size_t)len);
    }
    OPENSSL_cleanse(line, sizeof(line));
    return rc;
}
