// Threads and processes: CPU number, yielding, sleeping, pidfd.
#include "arguments.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace {

// PTHREAD_MUTEX_ROBUST_NORMAL_NP and PTHREAD_MUTEX_PSHARED_BIT of glibc.
constexpr int kRobust = 16;
constexpr int kShared = 128;

napi_value currentCpu(napi_env env, napi_callback_info) { return makeNumber(env, sched_getcpu()); }

napi_value yieldCpu(napi_env env, napi_callback_info) {
  sched_yield();
  return makeUndefined(env);
}

// runOnCpu(cpu): binds the calling thread to one CPU, or, when that is negative, to none. 0 or the errno.
napi_value runOnCpu(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int32_t cpu = args.int32(0, "cpu");
  if (!args.ok()) return nullptr;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (cpu >= 0) {
    CPU_SET(cpu, &set);
  } else {
    for (int i = 0; i < CPU_SETSIZE; i++) CPU_SET(i, &set);
  }
  return makeNumber(env, sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno);
}

// sleepMicroseconds(duration): blocks this thread.
napi_value sleepMicroseconds(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int32_t duration = args.int32(0, "duration");
  if (!args.ok()) return nullptr;
  timespec time = {duration / 1000000, (duration % 1000000) * 1000L};
  nanosleep(&time, nullptr);
  return makeUndefined(env);
}

// holdLife(buffer): locks, for the rest of this thread's life, a robust mutex at the start of mapped memory. The kernel takes
// the lock away when the thread dies, however it dies, and before it closes the process's descriptors: the first word
// changes. Source: set_robust_list(2), pthread_mutexattr_setrobust(3). 0 or the errno.
napi_value holdLife(napi_env env, napi_callback_info info) {
  Args args(env, info);
  void* data = nullptr;
  size_t length = 0;
  if (args.count() < 1 || napi_get_arraybuffer_info(env, args.value(0), &data, &length) != napi_ok ||
      length < sizeof(pthread_mutex_t)) {
    return throwErrno(env, EINVAL, "pthread_mutex_lock", "buffer");
  }
  // Written by hand, as glibc lays it out: the functions that would do it are newer than the oldest glibc we run on.
  pthread_mutex_t* mutex = static_cast<pthread_mutex_t*>(data);
  memset(mutex, 0, sizeof *mutex);
  mutex->__data.__kind = kRobust | kShared;
  int error = pthread_mutex_lock(mutex);
  return makeNumber(env, error);
}

// openPidfd(pid): a descriptor that becomes readable when the process ends; -1 when there is no such process.
napi_value openPidfd(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int32_t pid = args.int32(0, "pid");
  if (!args.ok()) return nullptr;
  long fd = syscall(SYS_pidfd_open, pid, 0);
  if (fd >= 0) return makeNumber(env, trackFd(env, static_cast<int>(fd)));
  if (errno == ESRCH) return makeNumber(env, -1);
  char what[32];
  snprintf(what, sizeof what, "pid %d", pid);
  return throwErrno(env, errno, "pidfd_open", what);
}

}  // namespace

void registerThreads(napi_env env, napi_value exports) {
  addFunction(env, exports, "currentCpu", currentCpu);
  addFunction(env, exports, "yieldCpu", yieldCpu);
  addFunction(env, exports, "runOnCpu", runOnCpu);
  addFunction(env, exports, "sleepMicroseconds", sleepMicroseconds);
  addFunction(env, exports, "holdLife", holdLife);
  addFunction(env, exports, "openPidfd", openPidfd);
}
