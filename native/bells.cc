// Bells: eventfds by which one process wakes another that blocks on many of them and on its event loop at once.
#include "arguments.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

extern "C" {
struct uv_loop_s;
__attribute__((weak)) int uv_backend_fd(const uv_loop_s*);
}

namespace {

// What a wait heard; the same bits in src/sys/bells.ts.
constexpr uint32_t kLoop = 1;
constexpr uint32_t kTick = 2;
constexpr uint32_t kBell = 4;

// An event's data is the descriptor and what it means.
int add(int epoll, int fd, uint32_t events, uint32_t what) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = static_cast<uint64_t>(fd) << 32 | what;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

// createBell(): who holds it can ring it.
napi_value createBell(napi_env env, napi_callback_info) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return throwErrno(env, errno, "eventfd", "bell");
  return makeNumber(env, trackFd(env, fd));
}

// ringBell(bell): 0 or the errno; never blocks. Nobody reads the count: each write is an event of its own (EPOLLET).
napi_value ringBell(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "bell");
  if (!args.ok()) return nullptr;
  uint64_t one = 1;
  return makeNumber(env, write(fd, &one, sizeof one) == sizeof one ? 0 : errno);
}

// The new descriptor, when what was added to the epoll with it could be; else it is closed.
napi_value keep(napi_env env, int fd, int added, const char* what) {
  if (added == 0) return makeNumber(env, trackFd(env, fd));
  int error = errno;
  close(fd);
  return throwErrno(env, error, "epoll_ctl", what);
}

// createBellWait(): what waitForBell waits with; it hears this environment's event loop too. -1 where that is not libuv's.
napi_value createBellWait(napi_env env, napi_callback_info) {
  uv_loop_s* loop = nullptr;
  if (uv_backend_fd == nullptr || napi_get_uv_event_loop(env, &loop) != napi_ok) return makeNumber(env, -1);
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return throwErrno(env, errno, "epoll_create1", "bells");
  return keep(env, epoll, add(epoll, uv_backend_fd(loop), EPOLLIN, kLoop), "event loop");
}

// createTicker(wait): a timer that the wait hears; it stands still at first.
napi_value createTicker(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int epoll = args.int32(0, "wait");
  if (!args.ok()) return nullptr;
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  if (fd < 0) return throwErrno(env, errno, "timerfd_create", "ticker");
  return keep(env, fd, add(epoll, fd, EPOLLIN | EPOLLET, kTick), "ticker");
}

// setTicker(ticker, periodMs): goes on ticking; 0 = stands still. 0 or the errno.
napi_value setTicker(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "ticker");
  int period = args.int32(1, "periodMs");
  if (!args.ok()) return nullptr;
  timespec time = {period / 1000, (period % 1000) * 1000000L};
  itimerspec setting = {time, time};
  return makeNumber(env, timerfd_settime(fd, 0, &setting, nullptr) == 0 ? 0 : errno);
}

// addBell(wait, bell): 0 or the errno.
napi_value addBell(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int epoll = args.int32(0, "wait");
  int bell = args.int32(1, "bell");
  if (!args.ok()) return nullptr;
  return makeNumber(env, add(epoll, bell, EPOLLIN | EPOLLET, kBell) == 0 ? 0 : errno);
}

// removeBell(wait, bell): before the bell is closed, since another process holds it too. 0 or the errno.
napi_value removeBell(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int epoll = args.int32(0, "wait");
  int bell = args.int32(1, "bell");
  if (!args.ok()) return nullptr;
  return makeNumber(env, epoll_ctl(epoll, EPOLL_CTL_DEL, bell, nullptr) == 0 ? 0 : errno);
}

// waitForBell(wait): blocks this thread until a bell rings, the ticker ticks or the event loop has something to do.
// What it heard, or 0 after a signal.
napi_value waitForBell(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int epoll = args.int32(0, "wait");
  if (!args.ok()) return nullptr;
  epoll_event events[8];
  int count = epoll_wait(epoll, events, 8, -1);
  if (count < 0 && errno != EINTR) {
    char what[32];
    describeFd(what, sizeof what, epoll);
    return throwErrno(env, errno, "epoll_wait", what);
  }
  uint32_t heard = 0;
  for (int i = 0; i < count; i++) {
    uint32_t what = static_cast<uint32_t>(events[i].data.u64);
    uint64_t ticks;
    // A timer whose ticks nobody reads stands still.
    if (what == kTick && read(static_cast<int>(events[i].data.u64 >> 32), &ticks, sizeof ticks) < 0) continue;
    heard |= what;
  }
  return makeNumber(env, heard);
}

}  // namespace

void registerBells(napi_env env, napi_value exports) {
  addFunction(env, exports, "createBell", createBell);
  addFunction(env, exports, "ringBell", ringBell);
  addFunction(env, exports, "createBellWait", createBellWait);
  addFunction(env, exports, "createTicker", createTicker);
  addFunction(env, exports, "setTicker", setTicker);
  addFunction(env, exports, "addBell", addBell);
  addFunction(env, exports, "removeBell", removeBell);
  addFunction(env, exports, "waitForBell", waitForBell);
}
