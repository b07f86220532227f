// A child that is stopped in its first instruction, and made to do system calls before it does anything by itself: how a
// trusted launcher sets up the memory of a program that it does not trust. Source: ptrace(2), PTRACE_EVENT_EXEC. All calls
// for one child come from the thread that started it.
#include "arguments.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

namespace {

constexpr unsigned kCloseOnExec = 4;
constexpr size_t kCallWords = 7;
constexpr size_t kFdsMax = 64;
constexpr int kStepsMax = 8;

// Pointers to the NUL-ended strings of a block, ended by a null pointer. The caller frees it.
char** split(uint8_t* block, size_t length) {
  size_t count = 0;
  for (size_t i = 0; i < length; i++) count += block[i] == 0;
  char** out = static_cast<char**>(calloc(count + 1, sizeof(char*)));
  size_t next = 0;
  for (size_t i = 0; out != nullptr && i < length && next < count; i += strlen(reinterpret_cast<char*>(block + i)) + 1) {
    out[next++] = reinterpret_cast<char*>(block + i);
  }
  return out;
}

// In the child: only calls that are safe after a fork of a process with threads. Returns an errno.
int become(char** argv, char** env, const int* fds, size_t count) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int number = 1; number < 32; number++) signal(number, SIG_DFL);
  if (syscall(SYS_close_range, 3u, ~0u, kCloseOnExec) != 0) return errno;
  // Node marks its own standard streams as not to be inherited.
  for (int fd = 0; fd < 3; fd++) fcntl(fd, F_SETFD, 0);
  for (size_t i = 0; i < count; i++) fcntl(fds[i], F_SETFD, 0);
  if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) return errno;
  raise(SIGSTOP);
  execve(argv[0], argv, env);
  return errno;
}

// traceProgram(arguments, environment, fds): starts a program (blocks of NUL-ended strings; an absolute path first) with no
// descriptor but 0 to 2 and those given (32-bit numbers). Returns its pid, stopped before its first instruction.
napi_value traceProgram(napi_env env, napi_callback_info info) {
  Args args(env, info);
  uint8_t *argumentBlock, *environmentBlock;
  size_t argumentLength, environmentLength;
  args.bytes(0, "arguments", &argumentBlock, &argumentLength);
  args.bytes(1, "environment", &environmentBlock, &environmentLength);
  uint8_t* fdBytes;
  size_t fdLength;
  args.bytes(2, "fds", &fdBytes, &fdLength);
  if (!args.ok()) return nullptr;
  int fds[kFdsMax];
  if (fdLength > sizeof fds) return throwErrno(env, E2BIG, "execve", "descriptors");
  memcpy(fds, fdBytes, fdLength);
  char** argv = split(argumentBlock, argumentLength);
  char** environment = split(environmentBlock, environmentLength);
  if (argv == nullptr || environment == nullptr || argv[0] == nullptr) return throwErrno(env, EINVAL, "execve", "no program");
  pid_t child = fork();
  if (child == 0) _exit(become(argv, environment, fds, fdLength / sizeof(int)));
  int status = 0, error = child < 0 ? errno : 0;
  bool started = child > 0 && waitpid(child, &status, 0) == child && WIFSTOPPED(status);
  if (started) {
    ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
    ptrace(PTRACE_CONT, child, nullptr, nullptr);
    started = waitpid(child, &status, 0) == child && status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXEC << 8));
    // On to the way out of execve, whose result would overwrite a register.
    if (started) ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    started = started && waitpid(child, &status, 0) == child && WIFSTOPPED(status);
  }
  char what[200];
  snprintf(what, sizeof what, "%s", argv[0]);
  free(argv);
  free(environment);
  if (started) return makeNumber(env, child);
  if (error == 0) error = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
  return throwErrno(env, error, "execve", what);
}

#if defined(__x86_64__)
constexpr long kSyscallInstruction = 0x050f;

// One system call of a stopped child, at its present instruction, which is restored. Returns an errno of ours.
int callIn(pid_t child, const int64_t* call, int64_t* result) {
  user_regs_struct saved, registers;
  if (ptrace(PTRACE_GETREGS, child, nullptr, &saved) != 0) return errno;
  errno = 0;
  long code = ptrace(PTRACE_PEEKTEXT, child, saved.rip, nullptr);
  if (errno != 0) return errno;
  if (ptrace(PTRACE_POKETEXT, child, saved.rip, (code & ~0xffffl) | kSyscallInstruction) != 0) return errno;
  registers = saved;
  registers.rax = call[0];
  registers.orig_rax = -1;
  registers.rdi = call[1];
  registers.rsi = call[2];
  registers.rdx = call[3];
  registers.r10 = call[4];
  registers.r8 = call[5];
  registers.r9 = call[6];
  if (ptrace(PTRACE_SETREGS, child, nullptr, &registers) != 0) return errno;
  // A step may end before the instruction, on the way out of a call before.
  for (int step = 0; step < kStepsMax; step++) {
    int status;
    if (ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0 || waitpid(child, &status, 0) != child) return errno;
    if (!WIFSTOPPED(status)) return ESRCH;
    if (ptrace(PTRACE_GETREGS, child, nullptr, &registers) != 0) return errno;
    if (registers.rip == saved.rip) continue;
    *result = static_cast<int64_t>(registers.rax);
    if (ptrace(PTRACE_POKETEXT, child, saved.rip, code) != 0) return errno;
    return ptrace(PTRACE_SETREGS, child, nullptr, &saved) == 0 ? 0 : errno;
  }
  return ETIMEDOUT;
}
#else
int callIn(pid_t, const int64_t*, int64_t*) { return ENOSYS; }
#endif

// tracedCall(pid, call): does a system call in the stopped child; `call` holds its number and six arguments as 64-bit words.
// Returns what the call returned, an errno being negative.
napi_value tracedCall(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int child = args.int32(0, "pid");
  uint8_t* words;
  size_t length;
  args.bytes(1, "call", &words, &length);
  if (!args.ok()) return nullptr;
  if (length != kCallWords * sizeof(int64_t)) return throwErrno(env, EINVAL, "ptrace", "call");
  int64_t call[kCallWords], result = 0;
  memcpy(call, words, sizeof call);
  int error = callIn(child, call, &result);
  char what[48];
  snprintf(what, sizeof what, "pid %d, call %lld", child, static_cast<long long>(call[0]));
  if (error != 0) return throwErrno(env, error, "ptrace", what);
  return makeNumber(env, static_cast<double>(result));
}

// tracedWrite(pid, address, bytes): writes to the stopped child's memory.
napi_value tracedWrite(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int child = args.int32(0, "pid");
  uint64_t address = args.size(1, "address");
  uint8_t* data;
  size_t length;
  args.bytes(2, "bytes", &data, &length);
  if (!args.ok()) return nullptr;
  iovec local = {data, length}, remote = {reinterpret_cast<void*>(address), length};
  char what[48];
  snprintf(what, sizeof what, "pid %d", child);
  if (process_vm_writev(child, &local, 1, &remote, 1, 0) != static_cast<ssize_t>(length)) {
    return throwErrno(env, errno, "process_vm_writev", what);
  }
  return makeUndefined(env);
}

// traceEnd(pid, run): lets the child run, no longer traced, or kills it.
napi_value traceEnd(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int child = args.int32(0, "pid");
  bool run = args.boolean(1, "run");
  if (!args.ok()) return nullptr;
  if (run && ptrace(PTRACE_DETACH, child, nullptr, nullptr) == 0) return makeUndefined(env);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return makeUndefined(env);
}

// reapChild(pid): its exit code, or 128 + the signal that ended it; -1 while it lives.
napi_value reapChild(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int child = args.int32(0, "pid");
  if (!args.ok()) return nullptr;
  int status;
  if (waitpid(child, &status, WNOHANG) != child) return makeNumber(env, -1);
  return makeNumber(env, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

// takeFd(pidfd, fd): a copy of another process's descriptor.
napi_value takeFd(napi_env env, napi_callback_info info) {
  Args args(env, info);
  int pidfd = args.int32(0, "pidfd"), fd = args.int32(1, "fd");
  if (!args.ok()) return nullptr;
  long got = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
  char what[32];
  describeFd(what, sizeof what, fd);
  if (got < 0) return throwErrno(env, errno, "pidfd_getfd", what);
  return makeNumber(env, trackFd(env, static_cast<int>(got)));
}

}  // namespace

void registerTrace(napi_env env, napi_value exports) {
  addFunction(env, exports, "traceProgram", traceProgram);
  addFunction(env, exports, "tracedCall", tracedCall);
  addFunction(env, exports, "tracedWrite", tracedWrite);
  addFunction(env, exports, "traceEnd", traceEnd);
  addFunction(env, exports, "reapChild", reapChild);
  addFunction(env, exports, "takeFd", takeFd);
}
