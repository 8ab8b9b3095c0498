/* Strikes drctl at one record of its journal: preloaded, it stands before write(2) and fdatasync(2).
 *
 * FAULT_RECORD=n (counted from 1 in this process), FAULT_WHEN=before|torn|after|full: killed before the record's first
 * byte, after half of it, when all of it is durable; or told that the disk is full, from this record on.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_journal(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    const char *name = "/journal.ndjson";
    ssize_t tail = strlen(name);
    return length >= tail && memcmp(path + length - tail, name, tail) == 0;
}

static int records, chosen;

static int is(const char *when) {
    const char *wanted = getenv("FAULT_WHEN");
    return wanted && strcmp(wanted, when) == 0;
}

static void killed(void) { kill(getpid(), SIGKILL); }

ssize_t write(int fd, const void *bytes, size_t length) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "write");
    if (!is_journal(fd)) return real(fd, bytes, length);
    records++;
    int at = atoi(getenv("FAULT_RECORD"));
    chosen = records == at;
    if (is("full") && records >= at) {
        /* As a full disk does: a part of it, then no more. */
        real(fd, bytes, length / 2);
        errno = ENOSPC;
        return -1;
    }
    if (chosen && is("before")) killed();
    if (chosen && is("torn")) {
        real(fd, bytes, length / 2);
        killed();
    }
    return real(fd, bytes, length);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    int result = real(fd);
    if (chosen && is("after") && is_journal(fd)) killed();
    return result;
}
