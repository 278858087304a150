#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mail/email.h"
#include "mail/mustache.h"

#define SUBJECT_MAX 998           /* bytes */
#define TEMPLATE_NAME_MAX 64      /* bytes */
#define TEMPLATE_MAX (256 * 1024) /* bytes of one file */
#define NAME_MAX_BYTES 200        /* of an attachment */
#define ERRORS_MAX 1500           /* bytes */

typedef struct {
    tfw_run_t *run;
    const json_t *payload;
    tfw_email_t *email;
    size_t room;     /* for addresses */
    tf_buf_t errors; /* "payload: ...; ..." */
    int64_t bytes;   /* of texts and attachments */
} reader_t;

/* Adds one complaint to the list. */
__attribute__((format(printf, 2, 3))) static void complain(reader_t *r, const char *fmt, ...)
{
    char text[400];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    tf_buf_adds(&r->errors, r->errors.len == 0 ? "payload: " : "; ");
    tf_buf_adds(&r->errors, text);
}

static const json_t *member(const reader_t *r, const char *name)
{
    return json_object_get(r->payload, name);
}

/* The member's text; NULL: it is not there, or no text, which is complained about. */
static const char *text_member(reader_t *r, const char *name, size_t *len)
{
    const json_t *value = member(r, name);

    *len = json_string_length(value);
    if (value && !json_is_string(value)) {
        complain(r, "\"%s\" must be a text", name);
    }
    return json_string_value(value);
}

/* ---- recipients ---- */

/* The operator's list of domains: names, and with a point before them all names below. */
static bool domain_allowed(const char *domain)
{
    const char *rule = tfw_email_settings.domains;
    size_t len = strlen(domain);

    if (!rule[strspn(rule, ", ")]) {
        return true;
    }
    while (*(rule += strspn(rule, ", "))) {
        size_t n = strcspn(rule, ", ");

        if (n == len ? strncasecmp(rule, domain, n) == 0
                     : *rule == '.' && n < len && strncasecmp(rule, domain + len - n, n) == 0) {
            return true;
        }
        rule += n;
    }
    return false;
}

static bool is_there(const tfw_email_t *email, const char *address)
{
    for (size_t i = 0; i < email->count; i++) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): so many of them are filled */
        if (strcmp(email->addresses[i].address, address) == 0) {
            return true;
        }
    }
    return false;
}

/* where: the member, and which of its elements. */
static void add_recipient(reader_t *r, const char *where, const json_t *value)
{
    tfw_email_t *email = r->email;
    tfw_mail_address_t address;
    const char *why;

    if (!json_is_string(value)) {
        complain(r, "%s must be an address", where);
        return;
    }
    why = tfw_mail_address_parse(json_string_value(value), json_string_length(value), &address);
    if (why) {
        complain(r, "%s %s", where, why);
        return;
    }
    if (!domain_allowed(tfw_mail_address_domain(&address))) {
        complain(r, "%s: mail to %s is not allowed by TASKFORGE_EMAIL_DOMAINS", where,
                 tfw_mail_address_domain(&address));
    } else if (!is_there(email, address.address) && email->count < r->room) {
        email->addresses[email->count++] = address;
        return;
    }
    tfw_mail_address_free(&address);
}

static size_t elements(const json_t *value)
{
    return json_is_array(value) ? json_array_size(value) : value ? 1 : 0;
}

static void add_recipients(reader_t *r, const char *name)
{
    const json_t *value = member(r, name);
    char where[64];

    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            snprintf(where, sizeof(where), "\"%s\"[%zu]", name, i);
            add_recipient(r, where, json_array_get(value, i));
        }
    } else if (value) {
        snprintf(where, sizeof(where), "\"%s\"", name);
        add_recipient(r, where, value);
    }
}

static void read_recipients(reader_t *r)
{
    static const char *const to[] = {"to", "recipients", "recipient"};
    int64_t max = tfw_email_settings.recipients_max;
    tfw_email_t *email = r->email;
    size_t count = elements(member(r, "cc")) + elements(member(r, "bcc"));

    for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
        email->to = email->to ? email->to : member(r, to[i]);
        count += elements(member(r, to[i]));
    }
    if (count == 0) {
        complain(r, "\"to\" is missing");
        return;
    }
    if (count > (size_t)max) {
        complain(r, "%zu recipients, where TASKFORGE_EMAIL_RECIPIENTS_MAX allows %lld", count,
                 (long long)max);
        return;
    }
    email->addresses = calloc(count, sizeof(*email->addresses));
    if (!email->addresses) {
        complain(r, "out of memory");
        return;
    }
    r->room = count;
    for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
        add_recipients(r, to[i]);
    }
    email->nto = email->count;
    add_recipients(r, "cc");
    email->ncc = email->count - email->nto;
    add_recipients(r, "bcc");
}

static void read_reply_to(reader_t *r)
{
    size_t len;
    const char *text = text_member(r, "reply_to", &len);
    const char *why = text ? tfw_mail_address_parse(text, len, &r->email->reply_to) : NULL;

    if (why) {
        complain(r, "\"reply_to\" %s", why);
    }
}

/* ---- texts ---- */

static bool name_valid(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]) && !strchr("_-.", name[i])) {
            return false;
        }
    }
    return len > 0 && len <= TEMPLATE_NAME_MAX && name[0] != '.';
}

/* One file of a template. -1: it is not there, or not to be read, which is complained about. */
static int open_template(reader_t *r, const char *file)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK, .resolve = RESOLVE_BENEATH};
    int dir = open(tfw_email_settings.templates_dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1;
    struct stat st;

    if (dir >= 0) {
        fd = (int)syscall(SYS_openat2, dir, file, &how, sizeof(how));
    }
    if (dir < 0 || (fd < 0 && errno != ENOENT)) {
        complain(r, "\"template\": %s: %s", file, strerror(errno));
    }
    if (dir >= 0) {
        close(dir);
    }
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > TEMPLATE_MAX)) {
        complain(r, "\"template\": %s: not a regular file of at most %d bytes", file, TEMPLATE_MAX);
        close(fd);
        fd = -1;
    }
    return fd;
}

/* false: there is no such file. Everything else is complained about. */
static bool render(reader_t *r, const char *name, const char *suffix, tf_buf_t *out)
{
    char file[TEMPLATE_NAME_MAX + 16], error[200];
    tf_buf_t text = {.limit = TEMPLATE_MAX + 1};
    int fd;
    ssize_t n;

    snprintf(file, sizeof(file), "%s.%s", name, suffix);
    fd = open_template(r, file);
    if (fd < 0) {
        return false;
    }
    while (tf_buf_reserve(&text, 4096) && (n = read(fd, text.data + text.len, 4096)) > 0) {
        text.len += (size_t)n;
    }
    close(fd);
    out->limit = (size_t)tfw_email_settings.message_max_bytes;
    if (!tf_utf8_valid(text.data ? text.data : "", text.len)) {
        complain(r, "\"template\": %s is not UTF-8", file);
    } else if (!tfw_mustache_render(text.data ? text.data : "", text.len, member(r, "variables"),
                                    strcmp(suffix, "html") == 0, out, error, sizeof(error))) {
        complain(r, "\"template\": %s: %s", file, error);
    }
    tf_buf_free(&text);
    return true;
}

static void read_template(reader_t *r, const char *name, size_t len)
{
    tfw_email_t *email = r->email;

    if (!*tfw_email_settings.templates_dir) {
        complain(r, "\"template\" needs TASKFORGE_EMAIL_TEMPLATES_DIR, which is not set");
        return;
    }
    if (!name_valid(name, len)) {
        complain(r, "\"template\" must be a name of 1 to %d letters, digits, '_', '-' and '.'",
                 TEMPLATE_NAME_MAX);
        return;
    }
    if (member(r, "variables") && !json_is_object(member(r, "variables"))) {
        complain(r, "\"variables\" must be an object");
        return;
    }
    if (!member(r, "subject")) {
        render(r, name, "subject", &email->subject);
        while (email->subject.len && isspace((unsigned char)email->subject.data[email->subject.len - 1])) {
            email->subject.len--;
        }
    }
    email->has_text = render(r, name, "txt", &email->text);
    email->has_html = render(r, name, "html", &email->html);
    if (!email->has_text && !email->has_html && !r->errors.len) {
        complain(r, "\"template\": there is neither %s.txt nor %s.html", name, name);
    }
}

static void read_texts(reader_t *r)
{
    tfw_email_t *email = r->email;
    size_t subject_len, body_len, text_len, html_len, name_len;
    const char *subject = text_member(r, "subject", &subject_len), *body = text_member(r, "body", &body_len),
               *text = text_member(r, "text", &text_len), *html = text_member(r, "html", &html_len),
               *name = text_member(r, "template", &name_len);

    if (subject) {
        tf_buf_add(&email->subject, subject, subject_len);
    }
    if (body && text) {
        complain(r, "\"body\" and \"text\" are the same: only one of them can be there");
    } else if (name && (body || text || html)) {
        complain(r, "the texts are either in \"template\" or in \"body\" and \"html\"");
    } else if (name) {
        read_template(r, name, name_len);
    } else {
        if (!html || body || text) { /* without any: an empty text */
            email->has_text = true;
            tf_buf_add(&email->text, body ? body : text, body ? body_len : text ? text_len : 0);
        }
        if (html) {
            email->has_html = true;
            tf_buf_add(&email->html, html, html_len);
        }
    }
    if (!email->subject.len && !subject && !r->errors.len) {
        complain(r, "\"subject\" is missing");
    }
    if (email->subject.len > SUBJECT_MAX ||
        !tfw_mail_one_line(tf_buf_cstr(&email->subject), email->subject.len)) {
        complain(r,
                 "\"subject\" must be one line of at most %d bytes: no line ends or other control characters",
                 SUBJECT_MAX);
    }
    r->bytes = (int64_t)(email->text.len + email->html.len);
}

/* ---- attachments ---- */

/* type/subtype (RFC 2045), without parameters. What is made of parts itself would need other encodings. */
static bool type_valid(const char *type)
{
    size_t slash = 0;

    for (size_t i = 0; type[i]; i++) {
        if (type[i] == '/' && !slash) {
            slash = i;
        } else if (!isalnum((unsigned char)type[i]) && !strchr("!#$&^_.+-", type[i])) {
            return false;
        }
    }
    return slash && type[slash + 1] && strlen(type) <= 127 && strncasecmp(type, "multipart/", 10) != 0 &&
           strncasecmp(type, "message/", 8) != 0;
}

static void read_attachment(reader_t *r, size_t index, const json_t *value)
{
    const char *path = json_string_value(json_object_get(value, "path")),
               *name = json_string_value(json_object_get(value, "name")),
               *type = json_string_value(json_object_get(value, "content_type")), *slash;
    tfw_mail_attachment_t *a = &r->email->attachments[r->email->nattachments];
    struct stat st;

    if (!path || !*path) {
        complain(r, "\"attachments\"[%zu]: \"path\" is missing", index);
        return;
    }
    slash = strrchr(path, '/');
    name = name ? name : slash ? slash + 1 : path;
    type = type ? type : "application/octet-stream";
    if (!*name || strlen(name) > NAME_MAX_BYTES || !tfw_mail_one_line(name, strlen(name)) ||
        strpbrk(name, "/\\")) {
        complain(
            r, "\"attachments\"[%zu]: \"name\" must have 1 to %d bytes, without control characters, / and \\",
            index, NAME_MAX_BYTES);
    } else if (!type_valid(type)) {
        complain(r, "\"attachments\"[%zu]: \"content_type\" must be like application/pdf", index);
    } else if (!r->errors.len) {
        *a = (tfw_mail_attachment_t){name, type, path, tfw_run_open_data(r->run, path)};
        r->email->nattachments += a->fd >= 0;
        r->bytes += a->fd >= 0 && fstat(a->fd, &st) == 0 ? st.st_size : 0;
    }
}

/* false: the run's error says which one cannot be opened. */
static bool read_attachments(reader_t *r)
{
    const json_t *list = member(r, "attachments");
    size_t count = json_array_size(list);

    if (list && (!json_is_array(list) || count > TFW_EMAIL_ATTACHMENTS_MAX)) {
        complain(r, "\"attachments\" must be a list of at most %d", TFW_EMAIL_ATTACHMENTS_MAX);
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        read_attachment(r, i, json_array_get(list, i));
        if (!r->errors.len && r->email->nattachments != i + 1) {
            return false;
        }
    }
    return true;
}

static void refuse_unknown(reader_t *r)
{
    static const char *const names[] = {"to",       "recipients", "recipient",  "cc",   "bcc",
                                        "reply_to", "body",       "text",       "html", "subject",
                                        "template", "variables",  "attachments"};
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)r->payload, key, value)
    {
        bool known = false;

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            known = known || strcmp(key, names[i]) == 0;
        }
        if (!known) {
            complain(r, "unknown field ");
            /* as a JSON string: whatever it holds, the complaint stays one line of valid text */
            tf_json_str(&r->errors, key, strnlen(key, 64));
        }
    }
}

bool tfw_email_read(tfw_run_t *run, tfw_email_t *email)
{
    reader_t r = {
        .run = run, .payload = tfw_run_payload(run), .email = email, .errors = {.limit = ERRORS_MAX}};
    bool opened, ok;

    refuse_unknown(&r);
    read_recipients(&r);
    read_reply_to(&r);
    read_texts(&r);
    opened = read_attachments(&r);
    if (opened && r.bytes > tfw_email_settings.message_max_bytes) {
        complain(&r,
                 "%lld bytes of texts and attachments, where TASKFORGE_EMAIL_MESSAGE_MAX_BYTES allows %lld",
                 (long long)r.bytes, (long long)tfw_email_settings.message_max_bytes);
    }
    if (r.errors.len > 0 || r.errors.failed) {
        /* a list over the limit lacks only its tail */
        tfw_run_error(run, "%.*s", (int)r.errors.len,
                      r.errors.data ? r.errors.data : "payload: out of memory");
    }
    ok = opened && r.errors.len == 0 && !r.errors.failed;
    tf_buf_free(&r.errors);
    return ok;
}

void tfw_email_free(tfw_email_t *email)
{
    for (size_t i = 0; i < email->count; i++) {
        tfw_mail_address_free(&email->addresses[i]);
    }
    free(email->addresses);
    tfw_mail_address_free(&email->reply_to);
    tf_buf_free(&email->subject);
    tf_buf_free(&email->text);
    tf_buf_free(&email->html);
    for (size_t i = 0; i < email->nattachments; i++) {
        close(email->attachments[i].fd);
    }
}
