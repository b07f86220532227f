// Anonymous memory files, their seals, advisory locks.
#include "arguments.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

// memfdCreate(name, flags): a descriptor, close-on-exec.
napi_value memfdCreate(napi_env env, napi_callback_info info) {
  Args args(env, info);
  char name[200];
  args.string(0, "name", name, sizeof name);
  int flags = args.int32(1, "flags");
  if (!args.ok()) return nullptr;
  int fd = memfd_create(name, MFD_CLOEXEC | static_cast<unsigned>(flags));
  if (fd < 0) return throwErrno(env, errno, "memfd_create", name);
  return makeNumber(env, trackFd(env, fd));
}

napi_value truncateFile(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  uint64_t length = args.size(1, "length");
  if (!args.ok()) return nullptr;
  char what[64];
  snprintf(what, sizeof what, "fd %d, %llu", fd, static_cast<unsigned long long>(length));
  if (ftruncate(fd, static_cast<off_t>(length)) != 0) return throwErrno(env, errno, "ftruncate", what);
  return makeUndefined(env);
}

napi_value addSeals(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  int seals = args.int32(1, "seals");
  if (!args.ok()) return nullptr;
  char what[32];
  describeFd(what, sizeof what, fd);
  if (fcntl(fd, F_ADD_SEALS, seals) != 0) return throwErrno(env, errno, "fcntl F_ADD_SEALS", what);
  return makeUndefined(env);
}

napi_value getSeals(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  char what[32];
  describeFd(what, sizeof what, fd);
  int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0) return throwErrno(env, errno, "fcntl F_GET_SEALS", what);
  return makeNumber(env, seals);
}

// fileLength(fd): bytes.
napi_value fileLength(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  char what[32];
  describeFd(what, sizeof what, fd);
  off_t end = lseek(fd, 0, SEEK_END);
  if (end < 0) return throwErrno(env, errno, "lseek", what);
  return makeNumber(env, static_cast<double>(end));
}

napi_value closeFd(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  char what[32];
  describeFd(what, sizeof what, fd);
  untrackFd(env, fd);
  if (fcntl(fd, F_GETFD) < 0) return throwErrno(env, errno, "close", what);
  closeAtOnce(fd);
  return makeUndefined(env);
}

// duplicateFd(fd): another descriptor of the same, close-on-exec.
napi_value duplicateFd(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  char what[32];
  describeFd(what, sizeof what, fd);
  if (copy < 0) return throwErrno(env, errno, "fcntl F_DUPFD_CLOEXEC", what);
  return makeNumber(env, trackFd(env, copy));
}

// lockFile(path): a descriptor that holds the exclusive lock of the file, or -1 when somebody else holds it.
napi_value lockFile(napi_env env, napi_callback_info info) {
  Args args(env, info);
  char path[512];
  args.string(0, "path", path, sizeof path);
  if (!args.ok()) return nullptr;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return throwErrno(env, errno, "open", path);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return makeNumber(env, trackFd(env, fd));
  int error = errno;
  close(fd);
  if (error == EWOULDBLOCK) return makeNumber(env, -1);
  return throwErrno(env, error, "flock", path);
}

}  // namespace

void registerFiles(napi_env env, napi_value exports) {
  addFunction(env, exports, "memfdCreate", memfdCreate);
  addFunction(env, exports, "truncateFile", truncateFile);
  addFunction(env, exports, "addSeals", addSeals);
  addFunction(env, exports, "getSeals", getSeals);
  addFunction(env, exports, "fileLength", fileLength);
  addFunction(env, exports, "closeFd", closeFd);
  addFunction(env, exports, "duplicateFd", duplicateFd);
  addFunction(env, exports, "lockFile", lockFile);
}
