// Unix sockets: messages that carry descriptors, the identity of the peer, and the doorbell (one byte, never blocking).
#include "arguments.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

constexpr int kMaxFds = 16;
// What one message can bring (SCM_MAX_FD in the kernel). All are received: those that are not the kernel closes, in this thread, however long
// that takes.
constexpr int kMostFds = 253;
// More than a socket's queue holds.
constexpr int kDiscardMax = 4096;

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

// A path that starts with '@' names the abstract namespace.
bool fillAddress(const char* path, sockaddr_un* address, socklen_t* length) {
  size_t size = strlen(path);
  if (size == 0 || size >= sizeof address->sun_path) return false;
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  memcpy(address->sun_path, path, size);
  if (path[0] == '@') address->sun_path[0] = 0;
  *length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size + (path[0] == '@' ? 0 : 1));
  return true;
}

// Descriptors travel in packets only. Where the kernel can (Linux 6.16), a stream, and with a listener what is accepted from it, refuses those that
// are sent to it: what is never here need not be closed, which a file system in user space can make wait for ever.
int makeSocket(bool packets) {
  int fd = socket(AF_UNIX, (packets ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int none = 0;
  if (fd >= 0 && !packets) setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &none, sizeof none);
  return fd;
}

// listenUnix(path, packets, backlog): a listening descriptor.
napi_value listenUnix(napi_env env, napi_callback_info info) {
  Args args(env, info);
  char path[256];
  args.string(0, "path", path, sizeof path);
  bool packets = args.boolean(1, "packets");
  int backlog = args.int32(2, "backlog");
  sockaddr_un address;
  socklen_t length;
  if (!args.ok()) return nullptr;
  if (!fillAddress(path, &address, &length)) return throwErrno(env, ENAMETOOLONG, "bind", path);
  int fd = makeSocket(packets);
  if (fd < 0) return throwErrno(env, errno, "socket", path);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(fd, backlog) != 0) {
    int error = errno;
    close(fd);
    return throwErrno(env, error, "bind", path);
  }
  return makeNumber(env, trackFd(env, fd));
}

// connectUnix(path, packets): a connected descriptor. EAGAIN when the listener's backlog is full.
napi_value connectUnix(napi_env env, napi_callback_info info) {
  Args args(env, info);
  char path[256];
  args.string(0, "path", path, sizeof path);
  bool packets = args.boolean(1, "packets");
  sockaddr_un address;
  socklen_t length;
  if (!args.ok()) return nullptr;
  if (!fillAddress(path, &address, &length)) return throwErrno(env, ENAMETOOLONG, "connect", path);
  int fd = makeSocket(packets);
  if (fd < 0) return throwErrno(env, errno, "socket", path);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), length) != 0) {
    int error = errno;
    close(fd);
    return throwErrno(env, error, "connect", path);
  }
  return makeNumber(env, trackFd(env, fd));
}

// acceptUnix(fd): a connected descriptor, or -1 when nobody waits.
napi_value acceptUnix(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  int got = accept4(fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (got >= 0) return makeNumber(env, trackFd(env, got));
  if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return makeNumber(env, -1);
  char what[32];
  describeFd(what, sizeof what, fd);
  return throwErrno(env, errno, "accept4", what);
}

// sendMessage(fd, bytes, fds): the number of bytes taken, or -1 when the peer's buffer is full.
napi_value sendMessage(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  uint8_t* data;
  size_t length;
  args.bytes(1, "bytes", &data, &length);
  if (!args.ok()) return nullptr;
  char what[32];
  describeFd(what, sizeof what, fd);
  uint32_t count = 0;
  if (args.has(2) && napi_get_array_length(env, args.value(2), &count) != napi_ok) {
    args.fail("argument 2 (fds) must be an array");
    return nullptr;
  }
  if (count > kMaxFds) return throwErrno(env, ETOOMANYREFS, "sendmsg", what);
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFds * sizeof(int))] = {};
  iovec vector = {data, length};
  msghdr message = {};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (count > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (uint32_t i = 0; i < count; i++) {
      napi_value element;
      int32_t one = -1;
      if (napi_get_element(env, args.value(2), i, &element) != napi_ok ||
          napi_get_value_int32(env, element, &one) != napi_ok) {
        args.fail("argument 2 (fds) must hold descriptors");
        return nullptr;
      }
      memcpy(CMSG_DATA(header) + i * sizeof(int), &one, sizeof one);
    }
  }
  ssize_t sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) return makeNumber(env, static_cast<double>(sent));
  if (errno == EAGAIN || errno == ENOBUFS) return makeNumber(env, -1);
  return throwErrno(env, errno, "sendmsg", what);
}

// What came with a message; each is the function's to close.
template <typename Take>
void eachDescriptor(msghdr& message, Take take) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (size_t at = 0; CMSG_LEN(at) < header->cmsg_len; at += sizeof(int)) {
      int one;
      memcpy(&one, CMSG_DATA(header) + at, sizeof one);
      take(one);
    }
  }
}

// A message, with room for all that can come with it. `control` is what its headers lie in.
using Control = uint8_t[CMSG_SPACE(kMostFds * sizeof(int)) + CMSG_SPACE(sizeof(ucred))];

ssize_t receive(int fd, void* data, size_t length, Control& control, msghdr* message) {
  iovec vector = {data, length};
  *message = {};
  message->msg_iov = &vector;
  message->msg_iovlen = 1;
  message->msg_control = control;
  message->msg_controllen = sizeof control;
  return recvmsg(fd, message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
}

// receiveMessage(fd, buffer, fds): the number of bytes written to the (private) buffer, 0 at the end of the stream, -1
// when nothing is there. Descriptors received are pushed to the array fds, close-on-exec; they are the caller's.
napi_value receiveMessage(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  uint8_t* data;
  size_t length;
  args.bytes(1, "buffer", &data, &length);
  uint32_t have = 0;
  if (!args.ok()) return nullptr;
  if (napi_get_array_length(env, args.value(2), &have) != napi_ok) {
    args.fail("argument 2 (fds) must be an array");
    return nullptr;
  }
  char what[32];
  describeFd(what, sizeof what, fd);
  alignas(cmsghdr) Control control;
  msghdr message;
  ssize_t got = receive(fd, data, length, control, &message);
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return makeNumber(env, -1);
    return throwErrno(env, errno, "recvmsg", what);
  }
  size_t count = 0;
  eachDescriptor(message, [&](int one) {
    if (count++ < kMaxFds) napi_set_element(env, args.value(2), have++, makeNumber(env, trackFd(env, one)));
    else closeAtOnce(one);
  });
  if (count > kMaxFds) message.msg_flags |= MSG_CTRUNC;
  if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return throwErrno(env, EMSGSIZE, "recvmsg", what);
  return makeNumber(env, static_cast<double>(got));
}

// peerCredentials(fd): [pid, uid, gid] of the process that made the other end, from SO_PEERCRED.
napi_value peerCredentials(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  ucred credentials;
  socklen_t length = sizeof credentials;
  char what[32];
  describeFd(what, sizeof what, fd);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    return throwErrno(env, errno, "getsockopt SO_PEERCRED", what);
  }
  napi_value out;
  napi_create_array_with_length(env, 3, &out);
  napi_set_element(env, out, 0, makeNumber(env, credentials.pid));
  napi_set_element(env, out, 1, makeNumber(env, credentials.uid));
  napi_set_element(env, out, 2, makeNumber(env, credentials.gid));
  return out;
}

// peerPidfd(fd): a descriptor of the peer process (Linux 6.5), free of the races of a pid; -1 where not supported, or the process is gone and the
// kernel too old to name one that is.
napi_value peerPidfd(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  int pidfd = -1;
  socklen_t length = sizeof pidfd;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) != 0) {
    int error = errno;
    // For want of a descriptor: who is let in all the same is one whose death is not seen.
    if (error != EMFILE && error != ENFILE && error != ENOMEM) return makeNumber(env, -1);
    char what[32];
    describeFd(what, sizeof what, fd);
    return throwErrno(env, error, "getsockopt SO_PEERPIDFD", what);
  }
  return makeNumber(env, trackFd(env, pidfd));
}

// ringDoorbell(fd): sends one byte. 0, or the errno: EAGAIN is harmless (unread bytes wake the peer already).
napi_value ringDoorbell(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  uint8_t byte = 1;
  ssize_t sent = send(fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  return makeNumber(env, sent == 1 ? 0 : errno);
}

// Receives up to 64 bytes and what comes with them, which nobody wants. `cameWithName` tells an empty packet from the end, once the socket
// brings its sender's name along (SO_PASSCRED).
ssize_t discard(int fd, bool* cameWithName = nullptr) {
  uint8_t bytes[64];
  alignas(cmsghdr) Control control;
  msghdr message;
  ssize_t got = receive(fd, bytes, sizeof bytes, control, &message);
  if (cameWithName != nullptr) *cameWithName = got >= 0 && message.msg_controllen > 0;
  if (got >= 0) eachDescriptor(message, closeAtOnce);
  return got;
}

// drainDoorbell(fd): the number of bytes taken (64 at most), 0 at the end of the stream, -1 when nothing is there, or
// minus the errno.
napi_value drainDoorbell(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  ssize_t got = discard(fd);
  if (got >= 0) return makeNumber(env, static_cast<double>(got));
  return makeNumber(env, errno == EAGAIN || errno == EINTR ? -1 : -errno);
}

// shutdownSocket(fd): the peer reads the end of the stream. What it sent before is thrown away: the kernel would close descriptors among it
// when the socket is closed. How many messages, or pieces of 64 bytes, that were.
napi_value shutdownSocket(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  if (!args.ok()) return nullptr;
  shutdown(fd, SHUT_RDWR);
  int type = SOCK_STREAM, on = 1;
  socklen_t length = sizeof type;
  getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length);
  // A stream knows no empty messages, and would bring a name with its end, too.
  bool packets = type == SOCK_SEQPACKET;
  if (packets) setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  bool isNamed = false;
  int taken = 0;
  while (taken < kDiscardMax && (discard(fd, &isNamed) > 0 || (packets && isNamed))) taken++;
  return makeNumber(env, taken);
}

// pollReadable(fd, timeoutMs): blocks this thread; true when a read would not block (data, end of stream or error).
napi_value pollReadable(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int fd = args.int32(0, "fd");
  int timeout = args.int32(1, "timeoutMs");
  if (!args.ok()) return nullptr;
  pollfd one = {fd, POLLIN, 0};
  int got = poll(&one, 1, timeout);
  char what[32];
  describeFd(what, sizeof what, fd);
  if (got < 0 && errno != EINTR) return throwErrno(env, errno, "poll", what);
  napi_value out;
  napi_get_boolean(env, got > 0, &out);
  return out;
}

}  // namespace

void registerSockets(napi_env env, napi_value exports) {
  addFunction(env, exports, "listenUnix", listenUnix);
  addFunction(env, exports, "connectUnix", connectUnix);
  addFunction(env, exports, "acceptUnix", acceptUnix);
  addFunction(env, exports, "sendMessage", sendMessage);
  addFunction(env, exports, "receiveMessage", receiveMessage);
  addFunction(env, exports, "peerCredentials", peerCredentials);
  addFunction(env, exports, "peerPidfd", peerPidfd);
  addFunction(env, exports, "ringDoorbell", ringDoorbell);
  addFunction(env, exports, "drainDoorbell", drainDoorbell);
  addFunction(env, exports, "shutdownSocket", shutdownSocket);
  addFunction(env, exports, "pollReadable", pollReadable);
}
