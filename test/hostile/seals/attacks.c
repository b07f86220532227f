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
static char stack[65536];

static void store(victim_t *v) { try_store(v->page); }

static int clone_store(void *page) {
  try_store(page);
  return 0;
}

static void thread_store(victim_t *v) {
  clone(clone_store, stack + sizeof stack, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, v->page);
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
  /* Another byte than the one that is stored later: that would change nothing. */
  if (alias != MAP_FAILED) *(volatile unsigned char *)alias = 0x22;
}
static void store_alias(victim_t *v) {
  (void)v;
  if (alias != NULL && alias != MAP_FAILED) try_store(alias);
}

/* The page and the next one change places: the protection goes with the address, or with the memory. */
static void swap_before(victim_t *v) {
  unsigned char *spare = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mremap(v->page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, spare) == MAP_FAILED) return;
  if (mremap(v->page + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, v->page) == MAP_FAILED) return;
  mremap(spare, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, v->page + PAGE);
}

static void map_kept(victim_t *v) {
  if (v->heap_fd < 0) return;
  unsigned char *at = mmap(NULL, v->length, PROT_READ | PROT_WRITE, MAP_SHARED, v->heap_fd, (off_t)v->first);
  if (at != MAP_FAILED) try_store(at + TARGET_PAGE * PAGE);
}

static void map_kept_in_place(victim_t *v) {
  if (v->heap_fd < 0 || munmap(v->page, PAGE) != 0) return;
  if (mmap(v->page, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, v->heap_fd, (off_t)(v->first + TARGET_PAGE * PAGE)) == v->page) try_store(v->page);
}

static void write_kept(victim_t *v) {
  if (v->heap_fd >= 0 && pwrite(v->heap_fd, "\xEE", 1, (off_t)(v->first + TARGET_PAGE * PAGE)) < 0) errno = 0;
}

static void reopen_kept(victim_t *v) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", v->heap_fd);
  int fd = open(path, O_RDWR);
  if (fd < 0) return;
  unsigned char *at = mmap(NULL, v->length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)v->first);
  if (at != MAP_FAILED) try_store(at + TARGET_PAGE * PAGE);
}

static void punch(victim_t *v) {
  if (v->heap_fd >= 0) fallocate(v->heap_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(v->first + TARGET_PAGE * PAGE), PAGE);
}

static void truncate_kept(victim_t *v) {
  if (v->heap_fd < 0 || ftruncate(v->heap_fd, (off_t)v->first) != 0) return;
  if (ftruncate(v->heap_fd, (off_t)(v->first + v->length)) != 0) errno = 0;
}

static void splice_kept(victim_t *v) {
  int fds[2];
  off_t at = (off_t)(v->first + TARGET_PAGE * PAGE);
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
static void populate_and_store(victim_t *v) {
  madvise(v->page, PAGE, MADV_POPULATE_WRITE);
  try_store(v->page);
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
static void swap_by_remap_file_pages(victim_t *v) {
  uint64_t page = v->first / PAGE + TARGET_PAGE;
  syscall(SYS_remap_file_pages, v->page, PAGE, 0, page + 1, 0);
  syscall(SYS_remap_file_pages, v->page + PAGE, PAGE, 0, page, 0);
}
static void store_next(victim_t *v) { try_store(v->page + PAGE); }
static void remap_pages(victim_t *v) {
  swap_by_remap_file_pages(v);
  store_next(v);
}
static void remap_pages_protected(victim_t *v) {
  mprotect(v->page, 2 * PAGE, PROT_READ);
  swap_by_remap_file_pages(v);
  mprotect(v->page, 2 * PAGE, PROT_READ | PROT_WRITE);
  store_next(v);
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

/* A pipe's read by a buffer that ends within the heap but begins before it. */
static void read_across(victim_t *v) {
  int fds[2];
  struct iovec one = {v->page, 1};
  if (pipe(fds) != 0 || write(fds[1], "\xEE", 1) != 1) return;
  if (readv(fds[0], &one, 1) < 0) errno = 0;
}

/* The flag is the description's: the sealer, who reads of the fork, has it too. */
static void block_and_fork(victim_t *v) {
  if (v->userfault >= 0) fcntl(v->userfault, F_SETFL, 0);
  fork_after(v);
}

/* Gives its own seal up: asks the sealer, or, where there is none, the kernel. */
static void release_and_store(victim_t *v) {
  int released = v->requests != NULL ? request(v, RELEASE, 0, 0, 0) == DONE : mprotect(v->page, PAGE, PROT_READ | PROT_WRITE) == 0;
  if (released) try_store(v->page);
}

/* The receiver's mark, by whatever way leads to writable descriptors; then the descriptor as it was, so that the receiver finds nothing amiss. */
static void complete_and_release(victim_t *v) {
  volatile uint32_t *words = v->descriptors;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", v->descriptors_fd);
  int again = v->descriptors_fd < 0 ? -1 : open(path, O_RDWR);
  if (v->requests != NULL && mprotect((void *)words, PAGE, PROT_READ | PROT_WRITE) != 0) {
    words = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, v->descriptors_fd, 0);
    if (words == MAP_FAILED) words = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0);
  }
  uint32_t word = words == MAP_FAILED ? 0 : words[FIRST_DESCRIPTOR];
  if (words != MAP_FAILED) words[FIRST_DESCRIPTOR + COMPLETED] = word;
  else if (pwrite(v->descriptors_fd, "\1", 1, 4 * (FIRST_DESCRIPTOR + COMPLETED)) < 0) errno = 0;
  release_and_store(v);
  if (words != MAP_FAILED) words[FIRST_DESCRIPTOR] = word;
}

/* A second seal of the same page, whose release would free it. */
static void seal_again_and_release(victim_t *v) {
  if (v->requests == NULL) return release_and_store(v);
  if (request(v, SEAL, TARGET_PAGE - 1, 3, 1) == DONE && request(v, RELEASE, 0, 0, 1) == DONE) try_store(v->page);
}

/* Other pages, and numbers that are none: the page must not come free with them. */
static void release_around_and_store(victim_t *v) {
  if (v->requests == NULL) return release_and_store(v);
  const uint32_t strange[] = {1, 15, 16, 17, 0x7fffffff, 0x80000000, 0xffffffff};
  int freed = 0;
  for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
    freed += request(v, RELEASE, TARGET_PAGE, 1, strange[i]) == DONE;
    freed += request(v, strange[i], TARGET_PAGE, 1, 0) == DONE;
  }
  if (freed > 0) try_store(v->page);
}

const attack_t ATTACKS[] = {
  {"store", NULL, store, NULL, NULL},
  {"store by a second thread", NULL, thread_store, NULL, NULL},
  {"store by a process that shares the memory", NULL, vm_child_store, NULL, NULL},
  {"store by a child of vfork", NULL, vfork_store, NULL, NULL},
  {"mprotect to read-only and back", NULL, protect_again, NULL, NULL},
  {"mprotect to nothing and back", NULL, protect_none, NULL, NULL},
  {"mremap: move", NULL, remap_move, NULL, NULL},
  {"mremap: move and keep", NULL, remap_keep, NULL, NULL},
  {"mremap: double after the seal", NULL, remap_double, NULL, NULL},
  {"mremap: double before the seal, untouched", double_before, store_alias, NULL, NULL},
  {"mremap: double before the seal, touched", double_before_touched, store_alias, NULL, NULL},
  {"mremap: two pages change places before the seal", swap_before, store_next, NULL, NULL},
  {"fork after the seal", fork_inherit, fork_after, NULL, NULL},
  {"fork before the seal", fork_before, let_child, NULL, NULL},
  {"exec after the seal", NULL, exec_probe, NULL, NULL},
  {"write to /proc/self/mem", NULL, own_memory_file, NULL, NULL},
  {"process_vm_writev to itself", NULL, write_self, NULL, NULL},
  {"process_vm_writev by a peer", NULL, peer_writes, NULL, NULL},
  {"ptrace by a peer", NULL, peer_pokes, NULL, NULL},
  {"write to /proc/PID/mem by a peer", NULL, peer_memory_file, NULL, NULL},
  {"mmap of a kept descriptor", NULL, map_kept, NULL, NULL},
  {"mmap of a kept descriptor in its place", NULL, map_kept_in_place, NULL, NULL},
  {"write to a kept descriptor", NULL, write_kept, NULL, NULL},
  {"reopen a kept descriptor", NULL, reopen_kept, NULL, NULL},
  {"punch a hole by a kept descriptor", NULL, punch, NULL, NULL},
  {"truncate a kept descriptor", NULL, truncate_kept, NULL, NULL},
  {"splice to a kept descriptor", NULL, splice_kept, NULL, NULL},
  {"an accomplice's earlier mapping", accomplice_before, NULL, NULL, NULL},
  {"MADV_REMOVE", NULL, remove_page, NULL, NULL},
  {"MADV_REMOVE and store", NULL, remove_and_store, NULL, NULL},
  {"MADV_DONTNEED and store", NULL, forget_and_store, NULL, NULL},
  {"MADV_DONTNEED_LOCKED and store", NULL, forget_locked_and_store, NULL, NULL},
  {"MADV_DONTNEED before the seal", forget, store, NULL, NULL},
  {"MADV_PAGEOUT and store", NULL, page_out_and_store, NULL, NULL},
  {"MADV_PAGEOUT before the seal", page_out, store, NULL, NULL},
  {"MADV_POPULATE_WRITE and store", NULL, populate_and_store, NULL, NULL},
  {"MADV_COLLAPSE and store", NULL, collapse_and_store, NULL, NULL},
  {"guard page after the seal", NULL, unguard_and_store, NULL, NULL},
  {"guard page before the seal, removed after", guard, unguard_and_store, NULL, NULL},
  {"remap_file_pages", NULL, remap_pages, NULL, NULL},
  {"remap_file_pages before the seal", swap_by_remap_file_pages, store_next, NULL, NULL},
  {"mprotect, remap_file_pages, mprotect", NULL, remap_pages_protected, NULL, NULL},
  {"mlock, munlock and store", NULL, lock_and_store, NULL, NULL},
  {"futex wake operation", NULL, futex_wake, NULL, NULL},
  {"read(2) into the page", NULL, read_into, NULL, NULL},
  {"readv(2) into the page", NULL, read_across, NULL, NULL},
  {"recv(2) into the page", NULL, receive_into, NULL, NULL},
  {"vmsplice gift before, pipe write after", gift, use_gift, NULL, NULL},
  {"vmsplice out of a pipe", NULL, splice_into, NULL, NULL},
  {"/proc/self/map_files", NULL, map_files, NULL, NULL},
  {"/proc/PID/map_files in a user namespace of its own", NULL, map_files_elsewhere, NULL, NULL},
  {"kept userfaultfd: lift", NULL, lift_kept, NULL, NULL},
  {"kept /dev/userfaultfd: lift", NULL, lift_device, NULL, NULL},
  {"own userfaultfd: lift", NULL, lift_own, NULL, NULL},
  {"a userfaultfd whose readers wait, store", NULL, store, NULL, blocking_userfault},
  {"kept userfaultfd: make its readers wait, fork", fork_inherit, block_and_fork, NULL, NULL},
  {"own userfaultfd: unregister", NULL, unregister_own, NULL, NULL},
  {"own userfaultfd: register and lift", NULL, register_own, NULL, NULL},
  {"own userfaultfd: guard page, fill it writable", guard, guard_and_continue, NULL, NULL},
  {"own userfaultfd: forget the page, fill it writable", NULL, forget_and_continue, NULL, NULL},
  {"own userfaultfd: double the page, fill it writable", NULL, double_and_continue, NULL, NULL},
  {"own userfaultfd by 32-bit system calls: lift", need_32_bits, lift_by_32_bits, NULL, NULL},
  {"io_uring buffer from before the seal", uring_before, uring_during, NULL, NULL},
  {"io_uring buffer from after the seal", NULL, uring_after, NULL, NULL},
  {"io_uring read", NULL, uring_read, NULL, NULL},
  {"direct read held up since before the seal", direct_before, direct_during, NULL, NULL},
  {"direct reads of other system calls held up since before the seal", other_direct_before, direct_during, NULL, NULL},
  {"process_vm_writev held up since before the seal", pin_before, pin_during, NULL, NULL},
  {"process_vm_writev by an unconfined process", await_accomplice, NULL, NULL, NULL},
  {"process_vm_writev by an unconfined process, held up since before the seal", await_accomplice, NULL, NULL, NULL},
  {"PR_SET_DUMPABLE, process_vm_writev by an unconfined process, held up", dumpable_and_await, NULL, NULL, NULL},
  {"release before the call is complete", NULL, release_and_store, NULL, NULL},
  {"mark the call complete, release", NULL, complete_and_release, NULL, NULL},
  {"seal again over it, release that", NULL, seal_again_and_release, NULL, NULL},
  {"release other descriptors, and none", NULL, release_around_and_store, NULL, NULL},
  {"attach a private mapping", NULL, store, map_private, NULL},
  {"attach other pages of the file", NULL, store_second, map_shifted, NULL},
  {"attach two pages that have changed places", NULL, store_second, map_swapped, NULL},
  {"attach with a second mapping beside it", NULL, store_second, map_beside, NULL},
  {"attach with a second mapping elsewhere", NULL, store_second, map_twice, NULL},
  {"attach with a harmless mapping and one elsewhere", NULL, store_second, map_third, NULL},
  {"attach another file", NULL, store_second, map_other_file, NULL},
  {"attach memory of no file", NULL, store_second, map_nothing, NULL},
  {"attach half of the file", NULL, NULL, map_half, NULL},
  {"attach more than the receiver", NULL, NULL, claim_more, NULL},
  {"attach without a userfaultfd", NULL, NULL, NULL, no_userfault},
  {"attach with a pipe for a userfaultfd", NULL, NULL, NULL, empty_userfault},
  {"attach with a userfaultfd that is set up", NULL, NULL, NULL, used_userfault},
  {"attach with a child's userfaultfd", NULL, store, NULL, childs_userfault},
};
const size_t ATTACK_COUNT = sizeof ATTACKS / sizeof *ATTACKS;
