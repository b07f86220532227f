// One helper for arguments and errors: every facility reads its arguments through Args and reports failures through it.
#pragma once
#include <node_api.h>
#include <stddef.h>
#include <stdint.h>

// Reads the arguments of one call. After the first failure a JS exception is pending, ok() is false and every getter
// returns zero, so that a function can read all its arguments and test once.
class Args {
 public:
  static constexpr size_t kMax = 8;

  Args(napi_env env, napi_callback_info info) : env_(env) {
    count_ = kMax;
    if (napi_get_cb_info(env, info, &count_, values_, nullptr, nullptr) != napi_ok) fail("napi_get_cb_info");
  }

  napi_env env() const { return env_; }
  bool ok() const { return ok_; }
  size_t count() const { return count_; }
  napi_value value(size_t index) const { return values_[index]; }
  bool has(size_t index) const;

  int32_t int32(size_t index, const char* name);
  // A non-negative integer of at most 2^53 - 1: an address, a length or an offset.
  uint64_t size(size_t index, const char* name);
  bool boolean(size_t index, const char* name);
  // Copies a string of at most capacity - 1 bytes of UTF-8.
  bool string(size_t index, const char* name, char* out, size_t capacity);
  // The memory of a Uint8Array. Private memory only: never called on a shared mapping.
  bool bytes(size_t index, const char* name, uint8_t** data, size_t* length);

  void fail(const char* message);

 private:
  bool expect(size_t index, const char* name, const char* type, bool good);

  napi_env env_;
  napi_value values_[kMax];
  size_t count_;
  bool ok_ = true;
};

// Throws an Error with code (errno's name), errno, syscall and argument. Returns nullptr for `return throwErrno(...)`.
napi_value throwErrno(napi_env env, int error, const char* syscall, const char* argument);

// Descriptors that this environment holds: what is still open when a worker is terminated is closed with it, so that the
// other side sees its end. trackFd returns the descriptor.
void initDescriptors(napi_env env);
// Closes a descriptor that may be another process's socket: one that lingers would make this thread wait for its peer, for as long as its
// sender liked.
void closeAtOnce(int fd);

int trackFd(napi_env env, int fd);
void untrackFd(napi_env env, int fd);

// How messages name a descriptor.
void describeFd(char* out, size_t capacity, int fd);

napi_value makeNumber(napi_env env, double value);
napi_value makeUndefined(napi_env env);
void addFunction(napi_env env, napi_value exports, const char* name, napi_callback callback);

void registerMemory(napi_env env, napi_value exports);
void registerWindows(napi_env env, napi_value exports);
void registerFiles(napi_env env, napi_value exports);
void registerSockets(napi_env env, napi_value exports);
void registerWatch(napi_env env, napi_value exports);
void registerBells(napi_env env, napi_value exports);
void registerThreads(napi_env env, napi_value exports);
void registerUserfaultfd(napi_env env, napi_value exports);
void registerProtection(napi_env env, napi_value exports);
void registerTrace(napi_env env, napi_value exports);
