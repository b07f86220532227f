// Threads and processes: futex, CPU number, yielding, pidfd.
#include "arguments.h"

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace {

uint32_t* word(Args& args) {
  uint8_t* data;
  size_t length;
  args.arrayBuffer(0, "buffer", &data, &length);
  uint64_t offset = args.size(1, "offset");
  if (!args.ok()) return nullptr;
  if (offset % 4 != 0 || offset + 4 > length) {
    args.fail("argument 1 (offset) must be a multiple of 4 inside the buffer");
    return nullptr;
  }
  return reinterpret_cast<uint32_t*>(data + offset);
}

// futexWait(buffer, offset, value, timeoutMs): 0 when woken, else the errno (EAGAIN, ETIMEDOUT, EINTR).
napi_value futexWait(napi_env env, napi_callback_info info) {
  Args args(env, info);
  uint32_t* address = word(args);
  int32_t value = args.int32(2, "value");
  int32_t timeout = args.int32(3, "timeoutMs");
  if (!args.ok() || address == nullptr) return nullptr;
  timespec limit = {timeout / 1000, (timeout % 1000) * 1000000L};
  long got = syscall(SYS_futex, address, FUTEX_WAIT, value, &limit, nullptr, 0);
  return makeNumber(env, got == 0 ? 0 : errno);
}

// futexWake(buffer, offset, count): how many waiters were woken.
napi_value futexWake(napi_env env, napi_callback_info info) {
  Args args(env, info);
  uint32_t* address = word(args);
  int32_t count = args.int32(2, "count");
  if (!args.ok() || address == nullptr) return nullptr;
  long got = syscall(SYS_futex, address, FUTEX_WAKE, count, nullptr, nullptr, 0);
  return makeNumber(env, static_cast<double>(got));
}

napi_value currentCpu(napi_env env, napi_callback_info) { return makeNumber(env, sched_getcpu()); }

napi_value yieldCpu(napi_env env, napi_callback_info) {
  sched_yield();
  return makeUndefined(env);
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

// threadId(): the kernel's id of this thread.
napi_value threadId(napi_env env, napi_callback_info) {
  return makeNumber(env, static_cast<double>(syscall(SYS_gettid)));
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
  addFunction(env, exports, "futexWait", futexWait);
  addFunction(env, exports, "futexWake", futexWake);
  addFunction(env, exports, "currentCpu", currentCpu);
  addFunction(env, exports, "yieldCpu", yieldCpu);
  addFunction(env, exports, "sleepMicroseconds", sleepMicroseconds);
  addFunction(env, exports, "threadId", threadId);
  addFunction(env, exports, "openPidfd", openPidfd);
}
