/* Host names of tests, below what a server looks them up with: no name server is asked. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    static int turn;
    lookup next = (lookup)dlsym(RTLD_NEXT, "getaddrinfo");

    /* Nobody answers. */
    if (name && strcmp(name, "dead.test") == 0) {
        sleep(60);
        return EAI_AGAIN;
    }
    /* Another address every time: a permitted one first. */
    if (name && strcmp(name, "moving.test") == 0)
        name = __atomic_fetch_add(&turn, 1, __ATOMIC_SEQ_CST) % 2 ? "127.0.0.2" : "127.0.0.1";
    return next(name, service, hints, found);
}
