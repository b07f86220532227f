// Readiness of descriptors, delivered to JavaScript.
//
// Two mechanisms, chosen by the caller: a libuv poll handle (Node: cheapest, part of the event loop), or one epoll thread
// for the environment with a thread-safe function (Bun and Deno, whose libuv is absent or partial). libuv's functions are
// weak references, so that the binary loads where they do not exist.
#include "arguments.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#if defined(__x86_64__)
// glibc 2.34 moved pthread_create; the old version name keeps the binary loadable from 2.28 on.
__asm__(".symver pthread_create, pthread_create@GLIBC_2.2.5");
__asm__(".symver pthread_join, pthread_join@GLIBC_2.2.5");
#elif defined(__aarch64__)
__asm__(".symver pthread_create, pthread_create@GLIBC_2.17");
__asm__(".symver pthread_join, pthread_join@GLIBC_2.17");
#endif

extern "C" {
struct uv_loop_s;
typedef struct uv_loop_s uv_loop_t;
// Opaque: its size is asked from libuv. uv_handle_t's first member is the user's `data` pointer in every libuv 1.x.
struct uv_handle_like { void* data; };
typedef void (*uv_poll_like_cb)(uv_handle_like*, int status, int events);
typedef void (*uv_close_like_cb)(uv_handle_like*);
__attribute__((weak)) size_t uv_handle_size(int type);
__attribute__((weak)) int uv_poll_init(uv_loop_t*, uv_handle_like*, int fd);
__attribute__((weak)) int uv_poll_start(uv_handle_like*, int events, uv_poll_like_cb);
__attribute__((weak)) int uv_poll_stop(uv_handle_like*);
__attribute__((weak)) void uv_close(uv_handle_like*, uv_close_like_cb);
__attribute__((weak)) void uv_ref(uv_handle_like*);
__attribute__((weak)) void uv_unref(uv_handle_like*);
}

namespace {

constexpr int kUvPoll = 8;  // UV_POLL
constexpr int kUvReadable = 1;
constexpr int kUvWritable = 2;

struct Watch {
  napi_env env;
  uv_handle_like* handle;
  napi_ref callback;
  napi_async_context context;
  napi_async_cleanup_hook_handle hook;
  bool closing;
};

void closed(uv_handle_like* handle) {
  Watch* watch = static_cast<Watch*>(handle->data);
  napi_remove_async_cleanup_hook(watch->hook);
  free(handle);
  free(watch);
}

void closeWatch(Watch* watch) {
  if (watch->closing) return;
  watch->closing = true;
  uv_poll_stop(watch->handle);
  napi_delete_reference(watch->env, watch->callback);
  napi_async_destroy(watch->env, watch->context);
  uv_close(watch->handle, closed);
}

void cleanupWatch(napi_async_cleanup_hook_handle, void* data) { closeWatch(static_cast<Watch*>(data)); }

void ready(uv_handle_like* handle, int status, int events) {
  Watch* watch = static_cast<Watch*>(handle->data);
  napi_env env = watch->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, receiver, argument;
  napi_get_reference_value(env, watch->callback, &callback);
  napi_get_global(env, &receiver);
  napi_create_int32(env, status < 0 ? status : events, &argument);
  // A callback that throws is an uncaught exception of the program, as in any event callback of Node.
  if (napi_make_callback(env, watch->context, receiver, callback, 1, &argument, nullptr) == napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

// watchPoll(fd, callback): a libuv handle. The descriptor stays the caller's and outlives the watch.
napi_value watchPoll(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  char what[32];
  snprintf(what, sizeof what, "fd %d", fd);
  uv_loop_s* loop = nullptr;
  if (uv_poll_init == nullptr || uv_handle_size == nullptr || napi_get_uv_event_loop(env, &loop) != napi_ok) {
    return throwErrno(env, ENOSYS, "uv_poll_init", what);
  }
  Watch* watch = static_cast<Watch*>(calloc(1, sizeof(Watch)));
  uv_handle_like* handle = static_cast<uv_handle_like*>(calloc(1, uv_handle_size(kUvPoll)));
  *watch = {env, handle, nullptr, nullptr, nullptr, false};
  int status = uv_poll_init(loop, handle, fd);
  if (status != 0) {
    free(handle);
    free(watch);
    return throwErrno(env, -status, "uv_poll_init", what);
  }
  handle->data = watch;
  napi_value name, out;
  napi_create_string_utf8(env, "rpcool", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, nullptr, name, &watch->context);
  napi_create_reference(env, args.value(1), 1, &watch->callback);
  napi_add_async_cleanup_hook(env, cleanupWatch, watch, &watch->hook);
  uv_poll_start(handle, kUvReadable, ready);
  napi_create_external(env, watch, nullptr, nullptr, &out);
  return out;
}

Watch* watchArgument(Args& args) {
  void* raw = nullptr;
  if (args.count() < 1 || napi_get_value_external(args.env(), args.value(0), &raw) != napi_ok) {
    args.fail("argument 0 (watch) must be a watch");
    return nullptr;
  }
  return static_cast<Watch*>(raw);
}

// watchEvents(watch, readable, writable): which events are delivered.
napi_value watchEvents(napi_env env, napi_callback_info info) {
  Args args(env, info);
  Watch* watch = watchArgument(args);
  bool readable = args.boolean(1, "readable");
  bool writable = args.boolean(2, "writable");
  if (!args.ok() || watch->closing) return nullptr;
  int events = (readable ? kUvReadable : 0) | (writable ? kUvWritable : 0);
  if (events == 0) {
    uv_poll_stop(watch->handle);
  } else {
    uv_poll_start(watch->handle, events, ready);
  }
  return makeUndefined(env);
}

// watchReference(watch, keepAlive): whether the watch keeps the event loop running.
napi_value watchReference(napi_env env, napi_callback_info info) {
  Args args(env, info);
  Watch* watch = watchArgument(args);
  bool keep = args.boolean(1, "keepAlive");
  if (!args.ok() || watch->closing) return nullptr;
  keep ? uv_ref(watch->handle) : uv_unref(watch->handle);
  return makeUndefined(env);
}

// watchClose(watch): ends the watch. It must not be used again.
napi_value watchClose(napi_env env, napi_callback_info info) {
  Args args(env, info);
  Watch* watch = watchArgument(args);
  if (!args.ok()) return nullptr;
  closeWatch(watch);
  return makeUndefined(env);
}

// ---- the epoll thread, for runtimes without libuv ----

struct Poller {
  int epoll;
  int stop;
  pthread_t thread;
  napi_threadsafe_function function;
};

void callJs(napi_env env, napi_value callback, void*, void* data) {
  if (env == nullptr || callback == nullptr) return;
  uint64_t packed = reinterpret_cast<uint64_t>(data);
  napi_value receiver, arguments[2];
  napi_get_global(env, &receiver);
  napi_create_uint32(env, static_cast<uint32_t>(packed >> 8), &arguments[0]);
  napi_create_uint32(env, static_cast<uint32_t>(packed & 0xff), &arguments[1]);
  napi_call_function(env, receiver, callback, 2, arguments, nullptr);
}

void* pollerMain(void* raw) {
  Poller* poller = static_cast<Poller*>(raw);
  epoll_event events[32];
  for (;;) {
    int count = epoll_wait(poller->epoll, events, 32, -1);
    if (count < 0 && errno != EINTR) break;
    for (int i = 0; i < count; i++) {
      if (events[i].data.u64 == UINT64_MAX) goto end;
      uint32_t flags = events[i].events;
      uint64_t mask = ((flags & (EPOLLIN | EPOLLHUP | EPOLLERR)) ? 1 : 0) | ((flags & EPOLLOUT) ? 2 : 0);
      napi_call_threadsafe_function(poller->function, reinterpret_cast<void*>((events[i].data.u64 << 8) | mask),
                                    napi_tsfn_nonblocking);
    }
  }
end:
  napi_release_threadsafe_function(poller->function, napi_tsfn_release);
  return nullptr;
}

void stopPoller(void* raw) {
  Poller* poller = static_cast<Poller*>(raw);
  uint64_t one = 1;
  if (write(poller->stop, &one, sizeof one) == sizeof one) pthread_join(poller->thread, nullptr);
  close(poller->epoll);
  close(poller->stop);
  free(poller);
}

// pollerStart(callback): one thread that calls callback(id, events) for descriptors that were armed.
napi_value pollerStart(napi_env env, napi_callback_info info) {
  Args args(env, info);
  Poller* poller = static_cast<Poller*>(calloc(1, sizeof(Poller)));
  poller->epoll = epoll_create1(EPOLL_CLOEXEC);
  poller->stop = eventfd(0, EFD_CLOEXEC);
  epoll_event event = {EPOLLIN, {.u64 = UINT64_MAX}};
  epoll_ctl(poller->epoll, EPOLL_CTL_ADD, poller->stop, &event);
  napi_value name, out;
  napi_create_string_utf8(env, "rpcool", NAPI_AUTO_LENGTH, &name);
  if (napi_create_threadsafe_function(env, args.value(0), nullptr, name, 0, 1, nullptr, nullptr, nullptr, callJs,
                                      &poller->function) != napi_ok) {
    return throwErrno(env, EINVAL, "napi_create_threadsafe_function", "callback");
  }
  if (pthread_create(&poller->thread, nullptr, pollerMain, poller) != 0) {
    return throwErrno(env, errno, "pthread_create", "poller");
  }
  napi_add_env_cleanup_hook(env, stopPoller, poller);
  napi_create_external(env, poller, nullptr, nullptr, &out);
  return out;
}

Poller* pollerArgument(Args& args) {
  void* raw = nullptr;
  if (args.count() < 1 || napi_get_value_external(args.env(), args.value(0), &raw) != napi_ok) {
    args.fail("argument 0 (poller) must be a poller");
    return nullptr;
  }
  return static_cast<Poller*>(raw);
}

// pollerArm(poller, fd, id, readable, writable, first): one-shot; arm again after each event.
napi_value pollerArm(napi_env env, napi_callback_info info) {
  Args args(env, info);
  Poller* poller = pollerArgument(args);
  int fd = args.int32(1, "fd");
  int32_t id = args.int32(2, "id");
  bool readable = args.boolean(3, "readable");
  bool writable = args.boolean(4, "writable");
  bool first = args.boolean(5, "first");
  if (!args.ok()) return nullptr;
  epoll_event event = {};
  event.events = EPOLLONESHOT | (readable ? EPOLLIN : 0u) | (writable ? EPOLLOUT : 0u);
  event.data.u64 = static_cast<uint32_t>(id);
  char what[32];
  snprintf(what, sizeof what, "fd %d", fd);
  if (epoll_ctl(poller->epoll, first ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0) {
    return throwErrno(env, errno, "epoll_ctl", what);
  }
  return makeUndefined(env);
}

napi_value pollerRemove(napi_env env, napi_callback_info info) {
  Args args(env, info);
  Poller* poller = pollerArgument(args);
  int fd = args.int32(1, "fd");
  if (!args.ok()) return nullptr;
  epoll_ctl(poller->epoll, EPOLL_CTL_DEL, fd, nullptr);
  return makeUndefined(env);
}

napi_value pollerReference(napi_env env, napi_callback_info info) {
  Args args(env, info);
  Poller* poller = pollerArgument(args);
  bool keep = args.boolean(1, "keepAlive");
  if (!args.ok()) return nullptr;
  keep ? napi_ref_threadsafe_function(env, poller->function) : napi_unref_threadsafe_function(env, poller->function);
  return makeUndefined(env);
}

}  // namespace

void registerWatch(napi_env env, napi_value exports) {
  addFunction(env, exports, "watchPoll", watchPoll);
  addFunction(env, exports, "watchEvents", watchEvents);
  addFunction(env, exports, "watchReference", watchReference);
  addFunction(env, exports, "watchClose", watchClose);
  addFunction(env, exports, "pollerStart", pollerStart);
  addFunction(env, exports, "pollerArm", pollerArm);
  addFunction(env, exports, "pollerRemove", pollerRemove);
  addFunction(env, exports, "pollerReference", pollerReference);
}
