/*
 * Preloaded into a writer of a SQLite database: stands in front of each system call that can change the directory of the
 * file WRITER_DATABASE, or the locks on a file in it. With WRITER_SNAPSHOTS, a directory, it first copies the files as
 * they are: what a SIGKILL at this instant leaves. With WRITER_KILL_AT, a number, it is the SIGKILL, at that call.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int calls;

static void fail(const char *what) {
  perror(what);
  _exit(70);
}

static void copy(const char *from, const char *to) {
  int in = open(from, O_RDONLY);
  int out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (in < 0 || out < 0) fail(to);
  for (ssize_t n; (n = sendfile(out, in, NULL, 1 << 20)) != 0;)
    if (n < 0) fail("sendfile");
  close(in);
  close(out);
}

static void snapshot(const char *directory, const char *snapshots) {
  char into[4096], from[4096], to[8192];
  snprintf(into, sizeof into, "%s/%06d", snapshots, calls);
  if (mkdir(into, 0755) != 0) fail(into);
  DIR *dir = opendir(directory);
  if (dir == NULL) fail(directory);
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (entry->d_type != DT_REG) continue;
    snprintf(from, sizeof from, "%s/%s", directory, entry->d_name);
    snprintf(to, sizeof to, "%s/%s", into, entry->d_name);
    copy(from, to);
  }
  closedir(dir);
}

/* Called with the path of what a call is about to change. */
static void before(const char *path) {
  static char directory[4096];
  static size_t length;
  const char *database = getenv("WRITER_DATABASE");
  if (database == NULL) return;
  if (length == 0) {
    length = strrchr(database, '/') - database;
    memcpy(directory, database, length);
  }
  if (strncmp(path, directory, length) != 0 || path[length] != '/') return;
  calls++;
  const char *kill_at = getenv("WRITER_KILL_AT");
  if (kill_at != NULL && calls == atoi(kill_at)) kill(getpid(), SIGKILL);
  const char *snapshots = getenv("WRITER_SNAPSHOTS");
  if (snapshots != NULL) snapshot(directory, snapshots);
}

static void before_fd(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return;
  path[n] = 0;
  before(path);
}

ssize_t write(int fd, const void *bytes, size_t size) {
  before_fd(fd);
  return NEXT(write)(fd, bytes, size);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
  before_fd(fd);
  return NEXT(pwrite64)(fd, bytes, size, at);
}

int ftruncate64(int fd, off64_t size) {
  before_fd(fd);
  return NEXT(ftruncate64)(fd, size);
}

int fdatasync(int fd) {
  before_fd(fd);
  return NEXT(fdatasync)(fd);
}

int fsync(int fd) {
  before_fd(fd);
  return NEXT(fsync)(fd);
}

int unlink(const char *path) {
  before(path);
  return NEXT(unlink)(path);
}

/* Between a write to the memory that is the WAL index and the next call there is always one of these. */
int fcntl64(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void *argument = va_arg(arguments, void *);
  va_end(arguments);
  if (command == F_SETLK) before_fd(fd);
  return NEXT(fcntl64)(fd, command, argument);
}
