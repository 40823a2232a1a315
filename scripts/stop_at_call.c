/* Preloaded into a run: there are no record locks, as on some network file systems, and the process stops itself
 * (SIGSTOP) just before a call under a folder, as a process on a host that hangs does.
 *
 *   STOP_ROOT    the folder
 *   STOP_AT      stop before the call of this number, counted from 1
 *   STOP_NUMBER  stop before a file or folder whose name is this number is renamed for the first time
 *   STOP_COUNT   write how many calls there were to this file at the end
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static atomic_long calls;
static atomic_int stopped;

static int inside(const char *path) {
    const char *root = getenv("STOP_ROOT");
    size_t length = root ? strlen(root) : 0;
    return root && !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

static int inside_at(int folder, const char *path) {
    char place[PATH_MAX], link[64];
    ssize_t length;
    if (path[0] == '/') return inside(path);
    if (folder == AT_FDCWD) return getcwd(place, sizeof place) && inside(place);
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    length = readlink(link, place, sizeof place - 1);
    if (length < 0) return 0;
    place[length] = 0;
    return inside(place);
}

static int inside_handle(int handle) { return inside_at(handle, ""); }

static void stop(void) {
    if (!atomic_exchange(&stopped, 1)) kill(getpid(), SIGSTOP);
}

static void count(int watched) {
    const char *at = getenv("STOP_AT");
    if (watched && atomic_fetch_add(&calls, 1) + 1 == (at ? atol(at) : 0)) stop();
}

static void count_rename(int folder, const char *source) {
    const char *number = getenv("STOP_NUMBER"), *name = strrchr(source, '/');
    int watched = inside_at(folder, source);
    count(watched);
    if (watched && number && !strcmp(name ? name + 1 : source, number)) stop();
}

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("STOP_COUNT");
    FILE *file = path && atomic_load(&calls) ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "%ld\n", atomic_load(&calls));
    fclose(file);
}

static mode_t mode_of(int flags, va_list rest) {
    int makes = flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE;
    return makes ? va_arg(rest, mode_t) : 0;
}

#define OPEN(name)                                           \
    int name(const char *path, int flags, ...) {             \
        va_list rest;                                        \
        va_start(rest, flags);                               \
        mode_t mode = mode_of(flags, rest);                  \
        va_end(rest);                                        \
        count(inside_at(AT_FDCWD, path));                    \
        return REAL(name)(path, flags, mode);                \
    }
OPEN(open)
OPEN(open64)

#define OPEN_AT(name)                                        \
    int name(int folder, const char *path, int flags, ...) { \
        va_list rest;                                        \
        va_start(rest, flags);                               \
        mode_t mode = mode_of(flags, rest);                  \
        va_end(rest);                                        \
        count(inside_at(folder, path));                      \
        return REAL(name)(folder, path, flags, mode);        \
    }
OPEN_AT(openat)
OPEN_AT(openat64)

int rename(const char *source, const char *target) {
    count_rename(AT_FDCWD, source);
    return REAL(rename)(source, target);
}

int renameat(int from, const char *source, int to, const char *target) {
    count_rename(from, source);
    return REAL(renameat)(from, source, to, target);
}

int unlink(const char *path) {
    count(inside_at(AT_FDCWD, path));
    return REAL(unlink)(path);
}

int unlinkat(int folder, const char *path, int flags) {
    count(inside_at(folder, path));
    return REAL(unlinkat)(folder, path, flags);
}

int rmdir(const char *path) {
    count(inside_at(AT_FDCWD, path));
    return REAL(rmdir)(path);
}

int mkdir(const char *path, mode_t mode) {
    count(inside_at(AT_FDCWD, path));
    return REAL(mkdir)(path, mode);
}

int mkdirat(int folder, const char *path, mode_t mode) {
    count(inside_at(folder, path));
    return REAL(mkdirat)(folder, path, mode);
}

int link(const char *source, const char *target) {
    count(inside_at(AT_FDCWD, target));
    return REAL(link)(source, target);
}

int linkat(int from, const char *source, int to, const char *target, int flags) {
    count(inside_at(to, target));
    return REAL(linkat)(from, source, to, target, flags);
}

ssize_t write(int handle, const void *data, size_t size) {
    count(inside_handle(handle));
    return REAL(write)(handle, data, size);
}

ssize_t pwrite(int handle, const void *data, size_t size, off_t offset) {
    count(inside_handle(handle));
    return REAL(pwrite)(handle, data, size, offset);
}

ssize_t pwrite64(int handle, const void *data, size_t size, off64_t offset) {
    count(inside_handle(handle));
    return REAL(pwrite64)(handle, data, size, offset);
}

int fsync(int handle) {
    count(inside_handle(handle));
    return REAL(fsync)(handle);
}

static int locks(int command) { return command == F_SETLK || command == F_SETLKW || command == F_GETLK; }

#define FCNTL(name)                                          \
    int name(int handle, int command, ...) {                 \
        va_list rest;                                        \
        va_start(rest, command);                             \
        void *argument = va_arg(rest, void *);               \
        va_end(rest);                                        \
        if (locks(command)) {                                \
            errno = ENOLCK;                                  \
            return -1;                                       \
        }                                                    \
        return REAL(name)(handle, command, argument);        \
    }
FCNTL(fcntl)
FCNTL(fcntl64)
