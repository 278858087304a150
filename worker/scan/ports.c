#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "held.h"
#include "scan/scan.h"

#define AT_ONCE 64 /* connections under way */
#define LOOK_MS 100

/* One connection under way. */
typedef struct {
    uint16_t port;
    int64_t until_us;
} probe_t;

typedef struct {
    tfw_scan_t *scan;
    tf_buf_t *result;
    struct pollfd fds[AT_ONCE];
    probe_t probes[AT_ONCE];
    size_t under_way, done;
} sweep_t;

static void report_open(sweep_t *s, uint16_t port)
{
    static const struct {
        uint16_t port;
        const char *what;
    } risky[] = {{21, "FTP"},          {23, "Telnet"},          {445, "SMB"},
                 {1433, "SQL Server"}, {2375, "Docker"},        {3306, "MySQL"},
                 {3389, "RDP"},        {5432, "PostgreSQL"},    {5900, "VNC"},
                 {6379, "Redis"},      {9200, "Elasticsearch"}, {11211, "memcached"},
                 {27017, "MongoDB"}};
    static const tfw_finding_t exposed = {
        "port-exposed", TFW_MEDIUM, "A service that is seldom meant for everybody can be reached",
        "Let a firewall pass it only to those who need it, or use an encrypted successor."};
    struct servent *service = getservbyport(htons(port), "tcp");

    s->scan->seen = true;
    if (s->result->data[s->result->len - 1] == '}') {
        tf_buf_addc(s->result, ',');
    }
    tf_buf_addc(s->result, '{');
    tf_json_kint(s->result, "port", port);
    tf_json_kcstr(s->result, "service", service ? service->s_name : NULL);
    tf_buf_addc(s->result, '}');
    for (size_t i = 0; i < sizeof(risky) / sizeof(risky[0]); i++) {
        if (risky[i].port == port) {
            tfw_scan_find(s->scan, &exposed, "port %u (%s) is open", port, risky[i].what);
        }
    }
}

static void begin(sweep_t *s, uint16_t port)
{
    struct sockaddr_storage to = s->scan->address;
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        return;
    }
    if (to.ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)&to)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)(void *)&to)->sin_port = htons(port);
    }
    if (connect(fd, (struct sockaddr *)&to, s->scan->address_len) != 0 && errno != EINPROGRESS) {
        close(fd);
        return;
    }
    s->fds[s->under_way] = (struct pollfd){.fd = fd, .events = POLLOUT};
    s->probes[s->under_way++] = (probe_t){port, tfw_monotonic_us() + s->scan->timeout_ms * 1000};
}

/* Those that have ended, or taken too long. */
static void harvest(sweep_t *s)
{
    int64_t now = tfw_monotonic_us();

    for (size_t i = s->under_way; i-- > 0;) {
        int why = 0;
        socklen_t len = sizeof(why);

        if (!s->fds[i].revents && now < s->probes[i].until_us) {
            continue;
        }
        if (s->fds[i].revents && getsockopt(s->fds[i].fd, SOL_SOCKET, SO_ERROR, &why, &len) == 0 &&
            why == 0) {
            report_open(s, s->probes[i].port);
        }
        close(s->fds[i].fd);
        s->under_way--;
        s->fds[i] = s->fds[s->under_way];
        s->probes[i] = s->probes[s->under_way];
    }
}

void tfw_scan_ports(tfw_scan_t *scan, tf_buf_t *result)
{
    sweep_t s = {.scan = scan, .result = result};

    tf_json_key(result, "open_ports");
    tf_buf_addc(result, '[');
    while ((s.done < scan->nports || s.under_way > 0) && !tfw_run_cancelled(scan->run)) {
        while (s.under_way < AT_ONCE && s.done < scan->nports) {
            begin(&s, scan->ports[s.done++]);
        }
        poll(s.fds, s.under_way, LOOK_MS);
        harvest(&s);
        tfw_run_progress(scan->run, (int)(50 * (s.done - s.under_way) / scan->nports));
    }
    while (s.under_way > 0) {
        close(s.fds[--s.under_way].fd);
    }
    tf_buf_addc(result, ']');
}
