#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "direct.h"
#include "pgparam.h"
#include "worker/sql.h"

#define SHA256_BYTES 32

static struct {
    int64_t max_bytes;
} settings;

static const tf_setting_t table[] = {
    {"TASKFORGE_FILES_MAX_BYTES", TF_SETTING_INT, 0, "33554432", 1, 1 << 30, "bytes, all files of a job"},
};

TF_HANDLER_SETTINGS(files) = {table, sizeof(table) / sizeof(table[0]), &settings, NULL};

int64_t tfw_files_max_bytes(void)
{
    return settings.max_bytes;
}

static bool content_type_ok(const char *type)
{
    size_t len = strlen(type);

    for (size_t i = 0; i < len; i++) {
        if (type[i] < ' ' || type[i] > '~') {
            return false;
        }
    }
    return len > 0 && len <= TFW_FILE_TYPE_MAX;
}

int tfw_run_temp_file(tfw_run_t *run)
{
    const char *dir = getenv("TMPDIR");
    int fd;

    dir = dir && dir[0] ? dir : "/tmp";
    fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        tfw_run_error(run, "no temporary file in %s: %s", dir, strerror(errno));
    }
    return fd;
}

/* One file on its way. */
typedef struct {
    tfw_run_t *run;
    const char *name;
    int fd;
    tfw_direct_t direct;
    EVP_MD_CTX *hash;
    char *chunk;     /* TF_FILE_CHUNK bytes */
    uint8_t file[8]; /* its id */
    int64_t size;
} upload_t;

/* A command without parameters and rows. */
static bool command(upload_t *u, const char *text)
{
    PGresult *result = PQexec(u->direct.conn, text);
    bool ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    const char *message = PQerrorMessage(u->direct.conn);

    PQclear(result);
    if (!ok) {
        tfw_run_error(u->run, "%s: %.*s", text, (int)strcspn(message, "\n"), message);
    }
    return ok;
}

static bool begin(upload_t *u)
{
    PGresult *result;

    if (!command(u, "BEGIN") || !tfw_direct_prepare(&u->direct, &tfw_sql_file_id) ||
        !tfw_direct_prepare(&u->direct, &tfw_sql_file_chunk) ||
        !tfw_direct_prepare(&u->direct, &tfw_sql_file_keep)) {
        return false;
    }
    result = tfw_direct_run(&u->direct, &tfw_sql_file_id, NULL, NULL);
    if (!result) {
        return false;
    }
    memcpy(u->file, PQgetvalue(result, 0, 0), sizeof(u->file));
    PQclear(result);
    return true;
}

/* Fills the chunk as far as the file goes. -1: the reason is set. */
static ssize_t read_chunk(upload_t *u)
{
    size_t have = 0;

    while (have < TF_FILE_CHUNK) {
        ssize_t n = pread(u->fd, u->chunk + have, TF_FILE_CHUNK - have, (off_t)(u->size + (int64_t)have));

        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            tfw_run_error(u->run, "%s: reading it failed: %s", u->name, strerror(errno));
            return -1;
        }
        have += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)have;
}

static bool too_large(upload_t *u)
{
    tfw_run_error(u->run, "%s: the files of a job have at most %lld bytes (TASKFORGE_FILES_MAX_BYTES)",
                  u->name, (long long)settings.max_bytes);
    return false;
}

static bool send_chunk(upload_t *u, int32_t seq, size_t len)
{
    uint8_t number[4];
    const char *values[] = {(const char *)tfw_run_id(u->run), (const char *)u->file, (const char *)number,
                            u->chunk};
    int lengths[] = {16, sizeof(u->file), sizeof(number), (int)len};
    PGresult *result;

    tf_pg_put_int4(number, seq);
    result = tfw_direct_run(&u->direct, &tfw_sql_file_chunk, values, lengths);
    PQclear(result);
    return result != NULL;
}

static bool send_chunks(upload_t *u)
{
    for (int32_t seq = 0;; seq++) {
        ssize_t len = read_chunk(u);

        if (len <= 0) {
            return len == 0;
        }
        if (u->size + len > settings.max_bytes) {
            return too_large(u);
        }
        if (tfw_run_cancelled(u->run)) {
            tfw_run_error(u->run, "%s: cancelled before it was stored", u->name);
            return false;
        }
        EVP_DigestUpdate(u->hash, u->chunk, (size_t)len); /* fails only without a hash */
        if (!send_chunk(u, seq, (size_t)len)) {
            return false;
        }
        u->size += len;
    }
}

/* Whether the answer of keep_job_file is that it did. */
static bool kept(upload_t *u, const char *answer)
{
    if (strcmp(answer, "kept") == 0) {
        return true;
    }
    if (strcmp(answer, "bytes") == 0) {
        return too_large(u);
    }
    if (strcmp(answer, "files") == 0) {
        tfw_run_error(u->run, "%s: a job has at most %d files", u->name, TFW_FILES_MAX);
    } else {
        tfw_run_error(u->run, "%s: not stored, as this run does not hold the job any more", u->name);
    }
    return false;
}

static bool keep(upload_t *u, const char *content_type)
{
    tfw_fence_t fence = tfw_run_fence(u->run);
    uint8_t epoch[4], attempt[4], incarnation[8], size[8], files_max[4], bytes_max[8], digest[SHA256_BYTES];
    const char *values[] = {(const char *)tfw_run_id(u->run),
                            (const char *)epoch,
                            (const char *)attempt,
                            (const char *)incarnation,
                            (const char *)u->file,
                            u->name,
                            content_type,
                            (const char *)size,
                            (const char *)digest,
                            (const char *)files_max,
                            (const char *)bytes_max};
    int lengths[] = {16, 4, 4, 8, 8, (int)strlen(u->name), (int)strlen(content_type), 8, SHA256_BYTES, 4, 8};
    PGresult *result;
    bool ok;

    tf_pg_put_int4(epoch, fence.epoch);
    tf_pg_put_int4(attempt, fence.attempt);
    tf_pg_put_int8(incarnation, fence.incarnation);
    tf_pg_put_int8(size, u->size);
    tf_pg_put_int4(files_max, TFW_FILES_MAX);
    tf_pg_put_int8(bytes_max, settings.max_bytes);
    EVP_DigestFinal_ex(u->hash, digest, NULL);
    result = tfw_direct_run(&u->direct, &tfw_sql_file_keep, values, lengths);
    ok = result && kept(u, PQgetvalue(result, 0, 0));
    PQclear(result);
    return ok;
}

/* What is not committed is rolled back when the connection ends. */
static bool store(upload_t *u, const char *content_type)
{
    bool ok;

    if (!tfw_direct_open(&u->direct, u->run)) {
        return false;
    }
    ok = begin(u) && send_chunks(u) && keep(u, content_type) && command(u, "COMMIT");
    tfw_direct_close(&u->direct);
    return ok;
}

bool tfw_run_file(tfw_run_t *run, const char *name, const char *content_type, int fd)
{
    upload_t u = {.run = run, .name = name, .fd = fd};
    struct stat st;
    bool ok = false;

    if (!tf_file_name_valid(name, strlen(name))) {
        tfw_run_error(run,
                      "a file's name has 1 to %d letters, digits, '.', '_' or '-', and '.' is not the first",
                      TF_FILE_NAME_MAX);
        return false;
    }
    if (!content_type_ok(content_type)) {
        tfw_run_error(run, "%s: its content type is not 1 to %d printable characters of ASCII", name,
                      TFW_FILE_TYPE_MAX);
        return false;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        tfw_run_error(run, "%s: not a regular file", name);
        return false;
    }
    if (st.st_size > settings.max_bytes) {
        return too_large(&u);
    }
    u.chunk = malloc(TF_FILE_CHUNK);
    u.hash = EVP_MD_CTX_new();
    if (u.chunk && u.hash && EVP_DigestInit_ex(u.hash, EVP_sha256(), NULL)) {
        ok = store(&u, content_type);
    } else {
        tfw_run_error(run, "%s: out of memory", name);
    }
    EVP_MD_CTX_free(u.hash);
    free(u.chunk);
    return ok;
}
