// Windows: shared pages of a mapping shown a second time, inside an ArrayBuffer whose pages may be replaced (the memory of a
// WebAssembly instance, which V8 reserves by mmap and never moves while its size is fixed).
#include "arguments.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

// The target pages of the buffer in arguments 0 (buffer), 1 (offset) and 2 (length); nullptr with an exception pending.
void* target(Args& args, uint64_t* length) {
  uint64_t offset = args.size(1, "offset");
  *length = args.size(2, "length");
  if (!args.ok()) return nullptr;
  void* data = nullptr;
  size_t capacity = 0;
  if (napi_get_arraybuffer_info(args.env(), args.value(0), &data, &capacity) != napi_ok) {
    throwErrno(args.env(), EINVAL, "mremap", "buffer");
    return nullptr;
  }
  uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) - 1;
  uint64_t start = reinterpret_cast<uint64_t>(data) + offset;
  if (*length == 0 || ((start | *length) & page) != 0 || offset > capacity || *length > capacity - offset) {
    throwErrno(args.env(), EINVAL, "mremap", "window");
    return nullptr;
  }
  return reinterpret_cast<void*>(start);
}

// openWindow(buffer, offset, length, address): shows the shared pages at address in the buffer, too. Needs no descriptor:
// mremap(2) of length 0 makes another mapping of the same pages.
napi_value openWindow(napi_env env, napi_callback_info info) {
  Args args(env, info);
  uint64_t length = 0;
  void* to = target(args, &length);
  if (to == nullptr) return nullptr;
  uint64_t address = args.size(3, "address");
  if (!args.ok()) return nullptr;
  void* from = reinterpret_cast<void*>(address);
  if (mremap(from, 0, length, MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED) {
    // Linux has unmapped the target before it failed: V8 must not meet a hole.
    int error = errno;
    mmap(to, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
    char where[64];
    snprintf(where, sizeof where, "0x%llx, %llu", static_cast<unsigned long long>(address), static_cast<unsigned long long>(length));
    return throwErrno(env, error, "mremap", where);
  }
  return makeUndefined(env);
}

// closeWindow(buffer, offset, length): private zero pages again.
napi_value closeWindow(napi_env env, napi_callback_info info) {
  Args args(env, info);
  uint64_t length = 0;
  void* to = target(args, &length);
  if (to == nullptr) return nullptr;
  if (mmap(to, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED) {
    return throwErrno(env, errno, "mmap", "window");
  }
  return makeUndefined(env);
}

}  // namespace

void registerWindows(napi_env env, napi_value exports) {
  addFunction(env, exports, "openWindow", openWindow);
  addFunction(env, exports, "closeWindow", closeWindow);
}
