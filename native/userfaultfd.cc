// userfaultfd: made by the process whose memory it watches, used by whoever holds it. Features, modes and events are the
// kernel's numbers, see linux/userfaultfd.h; the hot calls return an errno instead of throwing.
#include "arguments.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

namespace {

void describeRange(char* out, size_t capacity, uint64_t address, uint64_t length) {
  snprintf(out, capacity, "0x%llx, %llu", static_cast<unsigned long long>(address),
           static_cast<unsigned long long>(length));
}

// openUserfaultDevice(): a descriptor of /dev/userfaultfd, which makes userfaultfds without a further permission.
napi_value openUserfaultDevice(napi_env env, napi_callback_info) {
  int fd = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
  if (fd < 0) return throwErrno(env, errno, "open", "/dev/userfaultfd");
  return makeNumber(env, trackFd(env, fd));
}

// createUserfault(device): a userfaultfd of this process, by the device or, when that is negative, by the system call
// that everybody may make: then faults within the kernel fail with EFAULT instead of waiting.
napi_value createUserfault(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int device = args.int32(0, "device");
  if (!args.ok()) return nullptr;
  int fd = device >= 0 ? ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK)
                       : static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
  if (fd < 0) return throwErrno(env, errno, "userfaultfd", device >= 0 ? "by /dev/userfaultfd" : "user mode only");
  return makeNumber(env, trackFd(env, fd));
}

// userfaultApi(fd, features): the handshake, once per descriptor.
napi_value userfaultApi(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  uint64_t features = args.size(1, "features");
  if (!args.ok()) return nullptr;
  uffdio_api api = {};
  api.api = UFFD_API;
  api.features = features;
  char what[48];
  snprintf(what, sizeof what, "fd %d, 0x%llx", fd, static_cast<unsigned long long>(features));
  if (ioctl(fd, UFFDIO_API, &api) != 0) return throwErrno(env, errno, "UFFDIO_API", what);
  return makeUndefined(env);
}

// userfaultRegister(fd, address, length, modes).
napi_value userfaultRegister(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  uffdio_register request = {};
  request.range.start = args.size(1, "address");
  request.range.len = args.size(2, "length");
  request.mode = args.size(3, "modes");
  if (!args.ok()) return nullptr;
  char what[64];
  describeRange(what, sizeof what, request.range.start, request.range.len);
  if (ioctl(fd, UFFDIO_REGISTER, &request) != 0) return throwErrno(env, errno, "UFFDIO_REGISTER", what);
  return makeUndefined(env);
}

// writeProtect(fd, address, length, protect): 0 or the errno. Lifting wakes whoever waits to write.
napi_value writeProtect(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  uffdio_writeprotect request = {};
  request.range.start = args.size(1, "address");
  request.range.len = args.size(2, "length");
  request.mode = args.boolean(3, "protect") ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
  if (!args.ok()) return nullptr;
  return makeNumber(env, ioctl(fd, UFFDIO_WRITEPROTECT, &request) == 0 ? 0 : errno);
}

// userfaultContinue(fd, address, length, mode): maps what the file holds already; 0 or the errno.
napi_value userfaultContinue(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  uffdio_continue request = {};
  request.range.start = args.size(1, "address");
  request.range.len = args.size(2, "length");
  request.mode = args.size(3, "mode");
  if (!args.ok()) return nullptr;
  return makeNumber(env, ioctl(fd, UFFDIO_CONTINUE, &request) == 0 ? 0 : errno);
}

// userfaultZero(fd, address, length): zero pages where the file has a hole; 0 or the errno.
napi_value userfaultZero(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  uffdio_zeropage request = {};
  request.range.start = args.size(1, "address");
  request.range.len = args.size(2, "length");
  if (!args.ok()) return nullptr;
  return makeNumber(env, ioctl(fd, UFFDIO_ZEROPAGE, &request) == 0 ? 0 : errno);
}

// Reads what is there. Whoever else has the descriptor may make it one whose readers wait: on Linux before 6.10, which cannot be told not to wait
// for a single read, that is undone just before.
ssize_t readNow(int fd, uffd_msg* message) {
  iovec part = {message, sizeof *message};
  ssize_t got = preadv2(fd, &part, 1, -1, RWF_NOWAIT);
  if (got >= 0 || errno != EOPNOTSUPP) return got;
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return read(fd, message, sizeof *message);
}

// setNonBlocking(fd): whether readers waited until now.
napi_value setNonBlocking(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  int flags = fcntl(fd, F_GETFL);
  bool waited = flags >= 0 && (flags & O_NONBLOCK) == 0;
  if (waited) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  napi_value out;
  napi_get_boolean(env, waited, &out);
  return out;
}

// readUserfaultEvent(fd): undefined when there is none, else [event, a, b, c]: of a fault flags and address, of a fork the
// child's userfaultfd (the caller's to close), of a remap from, to and length.
napi_value readUserfaultEvent(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  uffd_msg message;
  ssize_t got = readNow(fd, &message);
  if (got < 0 && errno != EAGAIN && errno != EINTR) {
    char what[32];
    describeFd(what, sizeof what, fd);
    return throwErrno(env, errno, "read userfaultfd", what);
  }
  if (got != static_cast<ssize_t>(sizeof message)) return makeUndefined(env);
  double fields[4] = {static_cast<double>(message.event), 0, 0, 0};
  if (message.event == UFFD_EVENT_PAGEFAULT) {
    fields[1] = static_cast<double>(message.arg.pagefault.flags);
    fields[2] = static_cast<double>(message.arg.pagefault.address);
  } else if (message.event == UFFD_EVENT_FORK) {
    fields[1] = trackFd(env, static_cast<int>(message.arg.fork.ufd));
  } else if (message.event == UFFD_EVENT_REMAP) {
    fields[1] = static_cast<double>(message.arg.remap.from);
    fields[2] = static_cast<double>(message.arg.remap.to);
    fields[3] = static_cast<double>(message.arg.remap.len);
  }
  napi_value out;
  napi_create_array_with_length(env, 4, &out);
  for (uint32_t i = 0; i < 4; i++) napi_set_element(env, out, i, makeNumber(env, fields[i]));
  return out;
}

}  // namespace

void registerUserfaultfd(napi_env env, napi_value exports) {
  addFunction(env, exports, "openUserfaultDevice", openUserfaultDevice);
  addFunction(env, exports, "createUserfault", createUserfault);
  addFunction(env, exports, "userfaultApi", userfaultApi);
  addFunction(env, exports, "userfaultRegister", userfaultRegister);
  addFunction(env, exports, "writeProtect", writeProtect);
  addFunction(env, exports, "userfaultContinue", userfaultContinue);
  addFunction(env, exports, "userfaultZero", userfaultZero);
  addFunction(env, exports, "readUserfaultEvent", readUserfaultEvent);
  addFunction(env, exports, "setNonBlocking", setNonBlocking);
}
