/* Names below slow.test are looked up for 15 s: as of a name server that does not answer. It takes the place
 * of the C library's function for all that this worker is linked with. */
#include <dlfcn.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define LOOKUP_SECONDS 15

static bool is_slow(const char *name)
{
    static const char end[] = ".slow.test";
    size_t len = name ? strlen(name) : 0;

    return len >= sizeof(end) && strcmp(name + len - (sizeof(end) - 1), end) == 0;
}

__attribute__((visibility("default"))) int getaddrinfo(const char *name, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **list)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

    if (is_slow(name)) {
        sleep(LOOKUP_SECONDS);
        return EAI_AGAIN;
    }
    *(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
    return next(name, service, hints, list);
}
