// The descriptors of one environment. Only its own thread touches them.
#include "arguments.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

struct Descriptors {
  int* open;
  size_t count;
  size_t capacity;
};

void closeAll(napi_env, void* data, void*) {
  Descriptors* descriptors = static_cast<Descriptors*>(data);
  for (size_t i = 0; i < descriptors->count; i++) closeAtOnce(descriptors->open[i]);
  free(descriptors->open);
  free(descriptors);
}

Descriptors* of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return static_cast<Descriptors*>(data);
}

}  // namespace

void closeAtOnce(int fd) {
  linger none = {};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  close(fd);
}

void initDescriptors(napi_env env) {
  napi_set_instance_data(env, calloc(1, sizeof(Descriptors)), closeAll, nullptr);
}

int trackFd(napi_env env, int fd) {
  Descriptors* descriptors = of(env);
  if (fd < 0 || descriptors == nullptr) return fd;
  if (descriptors->count == descriptors->capacity) {
    size_t capacity = descriptors->capacity == 0 ? 64 : descriptors->capacity * 2;
    int* grown = static_cast<int*>(realloc(descriptors->open, capacity * sizeof(int)));
    if (grown == nullptr) return fd;
    descriptors->open = grown;
    descriptors->capacity = capacity;
  }
  descriptors->open[descriptors->count++] = fd;
  return fd;
}

void untrackFd(napi_env env, int fd) {
  Descriptors* descriptors = of(env);
  if (descriptors == nullptr) return;
  // The latest first: most descriptors live briefly.
  for (size_t i = descriptors->count; i-- > 0;) {
    if (descriptors->open[i] != fd) continue;
    descriptors->open[i] = descriptors->open[--descriptors->count];
    return;
  }
}
