/* Every attack on a sealed page that runs here, by name; expected.ts says what must come of each. */
#include "attacker.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#define MADV_DONTNEED_LOCKED_ 24
#define MADV_GUARD_INSTALL_ 102
#define MADV_GUARD_REMOVE_ 103

static void *alias;
static int pipe_fds[2];
static pid_t child;
static char stack[65536];

static void store(victim_t *v) { try_store(v->page); }

static void *storing_thread(void *page) {
  *(volatile unsigned char *)page = 0xEE;
  return NULL;
}

static int clone_store(void *page) {
  storing_thread(page);
  return 0;
}

static void thread_store(victim_t *v) {
  clone(clone_store, stack + sizeof stack, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, v->page);
  usleep(50000);
}

static void vm_child_store(victim_t *v) {
  clone(clone_store, stack + sizeof stack, CLONE_VM | SIGCHLD, v->page);
  usleep(50000);
}

static void protect_again(victim_t *v) {
  mprotect(v->page, PAGE, PROT_READ);
  mprotect(v->page, PAGE, PROT_READ | PROT_WRITE);
  try_store(v->page);
}

static void protect_none(victim_t *v) {
  mprotect(v->page, PAGE, PROT_NONE);
  mprotect(v->page, PAGE, PROT_READ | PROT_WRITE);
  try_store(v->page);
}

static void remap_move(victim_t *v) {
  void *to = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  void *at = mremap(v->page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
  if (at != MAP_FAILED) try_store(at);
}

static void remap_keep(victim_t *v) {
  void *at = mremap(v->page, PAGE, PAGE, MREMAP_MAYMOVE | 4 /* DONTUNMAP */, NULL);
  if (at != MAP_FAILED) try_store(at);
}

static void remap_double(victim_t *v) {
  void *at = mremap(v->page, 0, PAGE, MREMAP_MAYMOVE);
  if (at != MAP_FAILED) try_store(at);
}

static void double_before(victim_t *v) { alias = mremap(v->page, 0, PAGE, MREMAP_MAYMOVE); }
static void double_before_touched(victim_t *v) {
  double_before(v);
  if (alias != MAP_FAILED) try_store(alias);
}
static void store_alias(victim_t *v) {
  (void)v;
  if (alias != NULL && alias != MAP_FAILED) try_store(alias);
}

static void fork_after(victim_t *v) {
  pid_t one = fork();
  if (one == 0) {
    *(volatile unsigned char *)v->page = 0xEE;
    _exit(0);
  }
  usleep(50000);
  if (one > 0) kill(one, SIGKILL);
}

static void fork_inherit(victim_t *v) { madvise(v->heap, v->length, MADV_DOFORK); }

static void fork_before(victim_t *v) {
  fork_inherit(v);
  if (pipe(pipe_fds) != 0) return;
  child = fork();
  if (child != 0) return;
  /* As for the accomplice in attacker.c: it must not outlive its parent. */
  close(pipe_fds[1]);
  char go;
  if (read(pipe_fds[0], &go, 1) == 1) *(volatile unsigned char *)v->page = 0xEE;
  _exit(0);
}

static void let_child(victim_t *v) {
  (void)v;
  if (write(pipe_fds[1], "x", 1) == 1) usleep(50000);
  if (child > 0) kill(child, SIGKILL);
}

static void own_memory_file(victim_t *v) {
  int fd = open("/proc/self/mem", O_RDWR);
  if (fd >= 0 && pwrite(fd, "\xEE", 1, (off_t)(uintptr_t)v->page) < 0) errno = 0;
}

static void write_self(victim_t *v) {
  struct iovec local = {"\xEE", 1}, remote = {v->page, 1};
  syscall(SYS_process_vm_writev, getpid(), &local, 1, &remote, 1, 0);
}

static void peer_writes(victim_t *v) {
  prctl(PR_SET_PTRACER, -1, 0, 0, 0);
  pid_t target = getpid();
  pid_t peer = fork();
  if (peer == 0) {
    struct iovec local = {"\xEE", 1}, remote = {v->page, 1};
    syscall(SYS_process_vm_writev, target, &local, 1, &remote, 1, 0);
    _exit(0);
  }
  usleep(50000);
  if (peer > 0) kill(peer, SIGKILL);
}

static void peer_pokes(victim_t *v) {
  prctl(PR_SET_PTRACER, -1, 0, 0, 0);
  pid_t target = getpid();
  pid_t peer = fork();
  if (peer == 0) {
    if (ptrace(PTRACE_ATTACH, target, 0, 0) != 0) _exit(1);
    waitpid(target, NULL, 0);
    ptrace(PTRACE_POKEDATA, target, v->page, 0xEEEEEEEEul);
    ptrace(PTRACE_DETACH, target, 0, 0);
    _exit(0);
  }
  usleep(50000);
  if (peer > 0) kill(peer, SIGKILL);
}

static void map_kept(victim_t *v) {
  if (v->heap_fd < 0) return;
  unsigned char *at = mmap(NULL, v->length, PROT_READ | PROT_WRITE, MAP_SHARED, v->heap_fd, 0);
  if (at != MAP_FAILED) try_store(at + TARGET_PAGE * PAGE);
}

static void write_kept(victim_t *v) {
  if (v->heap_fd >= 0 && pwrite(v->heap_fd, "\xEE", 1, TARGET_PAGE * PAGE) < 0) errno = 0;
}

static void reopen_kept(victim_t *v) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", v->heap_fd);
  int fd = open(path, O_RDWR);
  if (fd < 0) return;
  unsigned char *at = mmap(NULL, v->length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) try_store(at + TARGET_PAGE * PAGE);
}

static void punch(victim_t *v) {
  if (v->heap_fd >= 0) fallocate(v->heap_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, TARGET_PAGE * PAGE, PAGE);
}

static void truncate_kept(victim_t *v) {
  if (v->heap_fd < 0 || ftruncate(v->heap_fd, 0) != 0) return;
  if (ftruncate(v->heap_fd, (off_t)v->length) != 0) errno = 0;
}

static void splice_kept(victim_t *v) {
  int fds[2];
  off_t at = TARGET_PAGE * PAGE;
  if (v->heap_fd < 0 || pipe(fds) != 0 || write(fds[1], "\xEE", 1) != 1) return;
  if (splice(fds[0], NULL, v->heap_fd, &at, 1, SPLICE_F_NONBLOCK) < 0) errno = 0;
}

/* An accomplice has mapped the heap before it was closed to new writers; it stores during the seal. */
static void accomplice_before(victim_t *v) {
  if (pipe(pipe_fds) != 0 || v->heap_fd < 0) return;
  alias = v; /* the mapping itself was made by attacker.c before attaching: see accomplice there */
}

static void remove_page(victim_t *v) { madvise(v->page, PAGE, MADV_REMOVE); }
static void remove_and_store(victim_t *v) {
  remove_page(v);
  try_store(v->page);
}
static void forget_and_store(victim_t *v) {
  madvise(v->page, PAGE, MADV_DONTNEED);
  try_store(v->page);
}
static void forget_locked_and_store(victim_t *v) {
  madvise(v->page, PAGE, MADV_DONTNEED_LOCKED_);
  try_store(v->page);
}
static void forget(victim_t *v) { madvise(v->page, PAGE, MADV_DONTNEED); }
static void page_out(victim_t *v) { madvise(v->page, PAGE, MADV_PAGEOUT); }
static void page_out_and_store(victim_t *v) {
  page_out(v);
  try_store(v->page);
}
static void populate(victim_t *v) { madvise(v->page, PAGE, MADV_POPULATE_WRITE); }
static void populate_child(victim_t *v) {
  pid_t one = (pid_t)syscall(SYS_clone, CLONE_VM | SIGCHLD, stack + sizeof stack, 0, 0, 0);
  if (one == 0) {
    populate(v);
    _exit(0);
  }
  usleep(50000);
}
static void collapse_and_store(victim_t *v) {
  madvise(v->heap, v->length, MADV_COLLAPSE);
  try_store(v->page);
}
static void guard(victim_t *v) { madvise(v->page, PAGE, MADV_GUARD_INSTALL_); }
static void unguard_and_store(victim_t *v) {
  madvise(v->page, PAGE, MADV_GUARD_REMOVE_);
  try_store(v->page);
}
static void remap_pages(victim_t *v) {
  syscall(SYS_remap_file_pages, v->page, PAGE, 0, TARGET_PAGE + 1, 0);
  syscall(SYS_remap_file_pages, v->page + PAGE, PAGE, 0, TARGET_PAGE, 0);
  try_store(v->page + PAGE);
}
static void lock_and_store(victim_t *v) {
  mlock(v->page, PAGE);
  munlock(v->page, PAGE);
  try_store(v->page);
}
static void futex_wake(victim_t *v) {
  int other = 0;
  syscall(SYS_futex, &other, 5 /* WAKE_OP */, 0, 0, v->page, 0xEE << 12);
}

static void read_into(victim_t *v) {
  int fds[2];
  if (pipe(fds) != 0 || write(fds[1], "\xEE", 1) != 1) return;
  if (read(fds[0], v->page, 1) < 0) errno = 0;
}

static void receive_into(victim_t *v) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 || send(fds[0], "\xEE", 1, 0) != 1) return;
  recv(fds[1], v->page, 1, 0);
}

static void gift(victim_t *v) {
  struct iovec one = {v->page, PAGE};
  if (pipe(pipe_fds) == 0) vmsplice(pipe_fds[1], &one, 1, SPLICE_F_GIFT | SPLICE_F_NONBLOCK);
}
static void use_gift(victim_t *v) {
  (void)v;
  fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK);
  if (write(pipe_fds[1], "\xEE", 1) < 0) errno = 0;
}
static void splice_into(victim_t *v) {
  int fds[2];
  struct iovec one = {v->page, 1};
  if (pipe(fds) != 0 || write(fds[1], "\xEE", 1) != 1) return;
  vmsplice(fds[0], &one, 1, SPLICE_F_NONBLOCK);
}

static void map_files(victim_t *v) {
  char path[96];
  snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (unsigned long)v->heap, (unsigned long)(v->heap + v->length));
  int fd = open(path, O_RDWR);
  if (fd < 0) return;
  unsigned char *at = mmap(NULL, v->length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED) try_store(at + TARGET_PAGE * PAGE);
}

/* A pipe's read by a buffer that ends within the heap but begins before it. */
static void read_across(victim_t *v) {
  int fds[2];
  struct iovec one = {v->page, 1};
  if (pipe(fds) != 0 || write(fds[1], "\xEE", 1) != 1) return;
  if (readv(fds[0], &one, 1) < 0) errno = 0;
}

const attack_t ATTACKS[] = {
  {"store", NULL, store},
  {"store by a second thread", NULL, thread_store},
  {"store by a process that shares the memory", NULL, vm_child_store},
  {"mprotect to read-only and back", NULL, protect_again},
  {"mprotect to nothing and back", NULL, protect_none},
  {"mremap: move", NULL, remap_move},
  {"mremap: move and keep", NULL, remap_keep},
  {"mremap: double after the seal", NULL, remap_double},
  {"mremap: double before the seal, untouched", double_before, store_alias},
  {"mremap: double before the seal, touched", double_before_touched, store_alias},
  {"fork after the seal", fork_inherit, fork_after},
  {"fork before the seal", fork_before, let_child},
  {"write to /proc/self/mem", NULL, own_memory_file},
  {"process_vm_writev to itself", NULL, write_self},
  {"process_vm_writev by a peer", NULL, peer_writes},
  {"ptrace by a peer", NULL, peer_pokes},
  {"mmap of a kept descriptor", NULL, map_kept},
  {"write to a kept descriptor", NULL, write_kept},
  {"reopen a kept descriptor", NULL, reopen_kept},
  {"punch a hole by a kept descriptor", NULL, punch},
  {"truncate a kept descriptor", NULL, truncate_kept},
  {"splice to a kept descriptor", NULL, splice_kept},
  {"an accomplice's earlier mapping", accomplice_before, NULL},
  {"MADV_REMOVE", NULL, remove_page},
  {"MADV_REMOVE and store", NULL, remove_and_store},
  {"MADV_DONTNEED and store", NULL, forget_and_store},
  {"MADV_DONTNEED_LOCKED and store", NULL, forget_locked_and_store},
  {"MADV_DONTNEED before the seal", forget, store},
  {"MADV_PAGEOUT and store", NULL, page_out_and_store},
  {"MADV_PAGEOUT before the seal", page_out, store},
  {"MADV_POPULATE_WRITE", NULL, populate_child},
  {"MADV_COLLAPSE and store", NULL, collapse_and_store},
  {"guard page after the seal", NULL, unguard_and_store},
  {"guard page before the seal, removed after", guard, unguard_and_store},
  {"remap_file_pages", NULL, remap_pages},
  {"mlock, munlock and store", NULL, lock_and_store},
  {"futex wake operation", NULL, futex_wake},
  {"read(2) into the page", NULL, read_into},
  {"readv(2) into the page", NULL, read_across},
  {"recv(2) into the page", NULL, receive_into},
  {"vmsplice gift before, pipe write after", gift, use_gift},
  {"vmsplice out of a pipe", NULL, splice_into},
  {"/proc/self/map_files", NULL, map_files},
  {"kept userfaultfd: lift", NULL, lift_kept},
  {"kept /dev/userfaultfd: lift", NULL, lift_device},
  {"own userfaultfd: lift", NULL, lift_own},
  {"own userfaultfd: unregister", NULL, unregister_own},
  {"own userfaultfd: register and lift", NULL, register_own},
  {"io_uring buffer from before the seal", uring_before, uring_during},
  {"direct reads in flight", direct_before, direct_during},
};
const size_t ATTACK_COUNT = sizeof ATTACKS / sizeof *ATTACKS;
