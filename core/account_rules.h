/* account_rules.h: what a username, an e-mail address and a password must look like. */
#ifndef TF_ACCOUNT_RULES_H
#define TF_ACCOUNT_RULES_H

#include <stddef.h>

#define TF_USERNAME_MIN 3
#define TF_USERNAME_MAX 64
#define TF_EMAIL_MAX 254    /* RFC 5321 section 4.5.3.1.3, less the angle brackets */
#define TF_PASSWORD_MIN 10  /* characters */
#define TF_PASSWORD_MAX 128 /* characters */
#define TF_PASSWORD_BYTES 512

/* Each returns NULL, or what is wrong, to be read after the name of the field: "must be ...". The texts are
 * UTF-8, not NUL-terminated. */
const char *tf_username_check(const char *name, size_t len);

/* The shape only: local@domain.tld, printable ASCII without spaces. Whether it exists, a mail would show. */
const char *tf_email_check(const char *email, size_t len);

/* Length, and that it is none of the first guesses: the username, the address, one of the commonest
 * passwords, a run of the keyboard, one character again and again (NIST SP 800-63B section 5.1.1.2). username
 * and email may be NULL. */
const char *tf_password_check(const char *password, size_t len, const char *username, size_t username_len,
                              const char *email, size_t email_len);

#endif
