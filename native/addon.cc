// The addon: a thin face of the kernel for one Node-API environment (the main thread or a worker). Mechanism, no policy.
#include "arguments.h"

NAPI_MODULE_INIT() {
  initDescriptors(env);
  registerMemory(env, exports);
  registerWindows(env, exports);
  registerFiles(env, exports);
  registerSockets(env, exports);
  registerWatch(env, exports);
  registerBells(env, exports);
  registerThreads(env, exports);
  registerUserfaultfd(env, exports);
  registerProtection(env, exports);
  registerTrace(env, exports);
  return exports;
}
