/* Preloaded into a process: its fsync and fdatasync take Z4J_TEST_SYNC_S seconds longer ("none": they do
   nothing, at once), its fstat64 Z4J_TEST_STAT_S, and what the former have made durable is copied to Z4J_TEST_DURABLE, as it would be there
   after a power cut at the worst moment. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void copy(int descriptor, const char *directory) {
    char link[64], path[4096], to[4200], temporary[4300], buffer[65536];
    struct stat found;
    if (fstat(descriptor, &found) || !S_ISREG(found.st_mode)) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1), count;
    if (length < 0) return;
    path[length] = 0;
    if (strstr(path, " (deleted)")) return;
    snprintf(to, sizeof to, "%s/%s", directory, strrchr(path, '/') + 1);
    snprintf(temporary, sizeof temporary, "%s.%d", to, (int)gettid());
    int out = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    for (off_t at = 0; (count = pread(descriptor, buffer, sizeof buffer, at)) > 0; at += count)
        if (write(out, buffer, count) != count) abort();
    close(out);
    rename(temporary, to);
}

static void wait_for(const char *seconds) {
    if (!seconds) return;
    double s = atof(seconds);
    struct timespec left = {(time_t)s, (long)((s - (time_t)s) * 1e9)};
    while (nanosleep(&left, &left)) {}
}

static int synced(int descriptor, const char *name) {
    const char *seconds = getenv("Z4J_TEST_SYNC_S"), *durable = getenv("Z4J_TEST_DURABLE");
    if (seconds && !strcmp(seconds, "none")) return 0;
    wait_for(seconds);
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int result = real(descriptor);
    if (durable && result == 0) copy(descriptor, durable);
    return result;
}

int fsync(int descriptor) { return synced(descriptor, "fsync"); }
int fdatasync(int descriptor) { return synced(descriptor, "fdatasync"); }

/* SQLite calls it with a mutex that every file of the process needs. */
int fstat64(int descriptor, struct stat64 *found) {
    wait_for(getenv("Z4J_TEST_STAT_S"));
    int (*real)(int, struct stat64 *) = (int (*)(int, struct stat64 *))dlsym(RTLD_NEXT, "fstat64");
    return real(descriptor, found);
}
