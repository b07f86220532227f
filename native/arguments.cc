#include "arguments.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

bool Args::has(size_t index) const {
  if (index >= count_) return false;
  napi_valuetype type;
  return napi_typeof(env_, values_[index], &type) == napi_ok && type != napi_undefined && type != napi_null;
}

void Args::fail(const char* message) {
  if (ok_) napi_throw_type_error(env_, "ERR_INVALID_ARG_TYPE", message);
  ok_ = false;
}

bool Args::expect(size_t index, const char* name, const char* type, bool good) {
  if (good) return true;
  char message[128];
  snprintf(message, sizeof message, "argument %zu (%s) must be %s", index, name, type);
  fail(message);
  return false;
}

int32_t Args::int32(size_t index, const char* name) {
  int32_t out = 0;
  if (!ok_) return 0;
  bool good = index < count_ && napi_get_value_int32(env_, values_[index], &out) == napi_ok;
  return expect(index, name, "an integer", good) ? out : 0;
}

uint64_t Args::size(size_t index, const char* name) {
  double out = 0;
  if (!ok_) return 0;
  bool good = index < count_ && napi_get_value_double(env_, values_[index], &out) == napi_ok && out >= 0 &&
              out <= 9007199254740991.0 && out == floor(out);
  return expect(index, name, "a safe non-negative integer", good) ? static_cast<uint64_t>(out) : 0;
}

bool Args::boolean(size_t index, const char* name) {
  bool out = false;
  if (!ok_) return false;
  bool good = index < count_ && napi_get_value_bool(env_, values_[index], &out) == napi_ok;
  return expect(index, name, "a boolean", good) && out;
}

bool Args::string(size_t index, const char* name, char* out, size_t capacity) {
  out[0] = 0;
  if (!ok_) return false;
  size_t length = 0;
  bool good = index < count_ && napi_get_value_string_utf8(env_, values_[index], nullptr, 0, &length) == napi_ok;
  if (!expect(index, name, "a string", good)) return false;
  if (!expect(index, name, "a shorter string", length < capacity)) return false;
  napi_get_value_string_utf8(env_, values_[index], out, capacity, &length);
  return expect(index, name, "a string without a NUL character", strlen(out) == length);
}

bool Args::bytes(size_t index, const char* name, uint8_t** data, size_t* length) {
  *data = nullptr;
  *length = 0;
  if (!ok_) return false;
  napi_typedarray_type type = napi_int8_array;
  void* raw = nullptr;
  bool good = index < count_ &&
              napi_get_typedarray_info(env_, values_[index], &type, length, &raw, nullptr, nullptr) == napi_ok &&
              type == napi_uint8_array;
  *data = static_cast<uint8_t*>(raw);
  return expect(index, name, "a Uint8Array", good);
}

// strerrorname_np needs glibc 2.32; the addon runs from 2.28 on.
static const char* errorName(int error) {
  static const struct { int error; const char* name; } names[] = {
#define ENTRY(name) {name, #name}
      ENTRY(EPERM), ENTRY(ENOENT), ENTRY(ESRCH), ENTRY(EINTR), ENTRY(EIO), ENTRY(EBADF), ENTRY(EAGAIN), ENTRY(ENOMEM),
      ENTRY(EACCES), ENTRY(EFAULT), ENTRY(EBUSY), ENTRY(EEXIST), ENTRY(ENODEV), ENTRY(ENOTDIR), ENTRY(EISDIR),
      ENTRY(EINVAL), ENTRY(ENFILE), ENTRY(EMFILE), ENTRY(EFBIG), ENTRY(ENOSPC), ENTRY(EPIPE), ENTRY(ERANGE),
      ENTRY(ENAMETOOLONG), ENTRY(ENOSYS), ENTRY(ENOTSOCK), ENTRY(EMSGSIZE), ENTRY(EPROTOTYPE), ENTRY(EOPNOTSUPP),
      ENTRY(EADDRINUSE), ENTRY(ECONNRESET), ENTRY(ENOBUFS), ENTRY(EISCONN), ENTRY(ENOTCONN), ENTRY(ETIMEDOUT),
      ENTRY(ECONNREFUSED), ENTRY(EALREADY), ENTRY(EINPROGRESS), ENTRY(EDQUOT), ENTRY(ETOOMANYREFS),
#undef ENTRY
  };
  for (const auto& entry : names) {
    if (entry.error == error) return entry.name;
  }
  return "EUNKNOWN";
}

napi_value throwErrno(napi_env env, int error, const char* syscall, const char* argument) {
  char message[512];
  snprintf(message, sizeof message, "%s: %s, %s(%s)", errorName(error), strerror(error), syscall, argument);
  napi_value text, code, object, property;
  napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text);
  napi_create_string_utf8(env, errorName(error), NAPI_AUTO_LENGTH, &code);
  if (napi_create_error(env, code, text, &object) != napi_ok) return nullptr;
  napi_create_int32(env, error, &property);
  napi_set_named_property(env, object, "errno", property);
  napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &property);
  napi_set_named_property(env, object, "syscall", property);
  napi_create_string_utf8(env, argument, NAPI_AUTO_LENGTH, &property);
  napi_set_named_property(env, object, "argument", property);
  napi_throw(env, object);
  return nullptr;
}

void describeFd(char* out, size_t capacity, int fd) { snprintf(out, capacity, "fd %d", fd); }

napi_value makeNumber(napi_env env, double value) {
  napi_value out = nullptr;
  napi_create_double(env, value, &out);
  return out;
}

napi_value makeUndefined(napi_env env) {
  napi_value out = nullptr;
  napi_get_undefined(env, &out);
  return out;
}

void addFunction(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function = nullptr;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}
