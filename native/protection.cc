// Protection of mapped ranges: write access, and its finality.
#include "arguments.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

namespace {

void* at(uint64_t address) { return reinterpret_cast<void*>(address); }

// protectMemory(address, length, writable): 0 or the errno. Reading stays possible.
napi_value protectMemory(napi_env env, napi_callback_info info) {
  Args args(env, info);
  uint64_t address = args.size(0, "address");
  uint64_t length = args.size(1, "length");
  bool writable = args.boolean(2, "writable");
  if (!args.ok()) return nullptr;
  return makeNumber(env, mprotect(at(address), length, PROT_READ | (writable ? PROT_WRITE : 0)) == 0 ? 0 : errno);
}

// sealMapping(address, length): mseal(2). Until the process ends the range cannot be moved, unmapped or protected otherwise.
napi_value sealMapping(napi_env env, napi_callback_info info) {
  Args args(env, info);
  uint64_t address = args.size(0, "address");
  uint64_t length = args.size(1, "length");
  if (!args.ok()) return nullptr;
  char what[64];
  snprintf(what, sizeof what, "0x%llx, %llu", static_cast<unsigned long long>(address),
           static_cast<unsigned long long>(length));
  if (syscall(SYS_mseal, address, length, 0) != 0) return throwErrno(env, errno, "mseal", what);
  return makeUndefined(env);
}

}  // namespace

void registerProtection(napi_env env, napi_value exports) {
  addFunction(env, exports, "protectMemory", protectMemory);
  addFunction(env, exports, "sealMapping", sealMapping);
}
