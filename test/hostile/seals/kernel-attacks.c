/* Attacks by which the kernel itself undoes the protection, or writes to the page whatever the page table says. */
#include "attacker.h"

#include <linux/aio_abi.h>
#include <pthread.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define USERFAULT_NEW _IO(0xAA, 0x00)

static int pipe_fds[2];
static char stack[65536];

static void lift(int fd, victim_t *v) {
  struct uffdio_writeprotect request = {{(uintptr_t)v->page, PAGE}, 0};
  if (fd >= 0 && ioctl(fd, UFFDIO_WRITEPROTECT, &request) == 0) try_store(v->page);
}

/* Any userfaultfd of the process lifts the protection that another one made. */
static int fresh_userfault(int fd) {
  struct uffdio_api api = {UFFD_API, 0, 0};
  if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) != 0) return -1;
  return fd;
}

void lift_kept(victim_t *v) { lift(v->userfault, v); }
void lift_device(victim_t *v) {
  if (v->device >= 0) lift(fresh_userfault(ioctl(v->device, USERFAULT_NEW, O_CLOEXEC)), v);
}
void lift_own(victim_t *v) { lift(fresh_userfault((int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)), v); }
void unregister_own(victim_t *v) {
  int fd = fresh_userfault((int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
  struct uffdio_range range = {(uintptr_t)v->heap, v->length};
  if (fd >= 0 && ioctl(fd, UFFDIO_UNREGISTER, &range) == 0) try_store(v->page);
}
void register_own(victim_t *v) {
  int fd = fresh_userfault((int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY));
  struct uffdio_register request = {{(uintptr_t)v->heap, v->length}, UFFDIO_REGISTER_MODE_WP, 0};
  if (fd >= 0 && ioctl(fd, UFFDIO_REGISTER, &request) == 0) lift(fd, v);
}

/* Fills an empty place of the page table with the page of the file, writable. */
static void fill(int fd, unsigned char *address) {
  struct uffdio_continue request = {{(uintptr_t)address, PAGE}, 0, 0};
  if (fd >= 0 && ioctl(fd, UFFDIO_CONTINUE, &request) == 0) try_store(address);
}
static int own_userfault(void) { return fresh_userfault((int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)); }
void guard_and_continue(victim_t *v) {
  madvise(v->page, PAGE, 103 /* GUARD_REMOVE */);
  fill(own_userfault(), v->page);
}
void forget_and_continue(victim_t *v) {
  madvise(v->page, PAGE, MADV_DONTNEED);
  fill(own_userfault(), v->page);
}
void double_and_continue(victim_t *v) {
  unsigned char *at = mremap(v->page, 0, PAGE, MREMAP_MAYMOVE);
  if (at != MAP_FAILED) fill(own_userfault(), at);
}

static int uring = -1;
static void *uring_memory;
struct uring_parameters { uint32_t words[30]; };
enum { URING_READ_FIXED = 4, URING_READ = 22 };

/* A read of one byte into the page, ready to be carried out. */
static void prepare_uring(victim_t *v, unsigned char operation) {
  struct uring_parameters parameters;
  memset(&parameters, 0, sizeof parameters);
  uring = (int)syscall(SYS_io_uring_setup, 4, &parameters);
  if (uring < 0) return;
  struct iovec one = {v->page, PAGE};
  if (operation == URING_READ_FIXED && syscall(SYS_io_uring_register, uring, 0, &one, 1) != 0) {
    close(uring);
    uring = -1;
    return;
  }
  /* sq_off.array follows entries.. : fields of struct io_sqring_offsets at word 10; see io_uring_setup(2). */
  uring_memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring, 0);
  unsigned char *entries = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, uring, 0x10000000);
  if (uring_memory == MAP_FAILED || entries == MAP_FAILED || pipe(pipe_fds) != 0) return;
  if (write(pipe_fds[1], "\xEE", 1) != 1) return;
  memset(entries, 0, 64);
  entries[0] = operation;
  memcpy(entries + 4, &pipe_fds[0], 4);
  uint64_t offset = (uint64_t)-1, address = (uintptr_t)v->page;
  uint32_t length = 1;
  memcpy(entries + 8, &offset, 8);
  memcpy(entries + 16, &address, 8);
  memcpy(entries + 24, &length, 4);
  uint32_t tail = parameters.words[11], array = parameters.words[16];
  ((uint32_t *)((char *)uring_memory + array))[0] = 0;
  *(uint32_t *)((char *)uring_memory + tail) = 1;
}
/* A buffer that io_uring was given before the seal: the kernel writes to its pages, whatever the page table says. */
void uring_before(victim_t *v) { prepare_uring(v, URING_READ_FIXED); }
void uring_during(victim_t *v) {
  (void)v;
  if (uring >= 0) syscall(SYS_io_uring_enter, uring, 1, 1, 1, NULL, 0);
}
void uring_after(victim_t *v) {
  prepare_uring(v, URING_READ_FIXED);
  uring_during(v);
}
void uring_read(victim_t *v) {
  prepare_uring(v, URING_READ);
  uring_during(v);
}

/* A file whose reads wait until this is asked for: see slow-file.c. Each victim has its own. */
int open_slow(pid_t victim) {
  char path[32];
  snprintf(path, sizeof path, "slow/slow%d", victim);
  return open(path, O_RDONLY);
}
void let_slow(pid_t victim) {
  char path[32];
  snprintf(path, sizeof path, "slow/go%d", victim);
  access(path, F_OK);
}

/* Reads that go past the page cache, into the page, from before the seal; they are answered after it. */
enum { BY_PREAD, BY_READV, BY_PREADV, BY_PREADV2, BY_AIO, DIRECT_WAYS };
static unsigned char *direct_page;
static void *direct_read(void *way) {
  int fd = open_slow(getpid());
  struct iovec one = {direct_page, PAGE};
  switch ((int)(intptr_t)way) {
    case BY_PREAD: if (pread(fd, direct_page, PAGE, 0) < 0) errno = 0; break;
    case BY_READV: if (readv(fd, &one, 1) < 0) errno = 0; break;
    case BY_PREADV: if (preadv(fd, &one, 1, 0) < 0) errno = 0; break;
    case BY_PREADV2: if (preadv2(fd, &one, 1, 0, 0) < 0) errno = 0; break;
    default: {
      aio_context_t context = 0;
      struct iocb request = {.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = (uint32_t)fd, .aio_buf = (uintptr_t)direct_page, .aio_nbytes = PAGE};
      struct iocb *requests[1] = {&request};
      if (syscall(SYS_io_setup, 1, &context) == 0) syscall(SYS_io_submit, context, 1, requests);
    }
  }
  return NULL;
}
static void start_direct(victim_t *v, int first, int last) {
  pthread_t thread;
  direct_page = v->page;
  for (int way = first; way <= last; way++) if (pthread_create(&thread, NULL, direct_read, (void *)(intptr_t)way) != 0) fail("pthread_create");
  usleep(50000);
}
void direct_before(victim_t *v) { start_direct(v, BY_PREAD, BY_PREAD); }
void other_direct_before(victim_t *v) { start_direct(v, BY_READV, DIRECT_WAYS - 1); }
void direct_during(victim_t *v) {
  (void)v;
  let_slow(getpid());
}

/* System calls of the 32-bit numbering, whose pointers have 32 bits; what they point to is the same. */
static long call32(long number, long first, long second, long third) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory", "r8", "r9", "r10", "r11");
  return result;
}
/* A virtual machine may have no way in for them: the instruction faults. */
static sigjmp_buf no_way_in;
static void absent(int signal) { siglongjmp(no_way_in, signal); }
void need_32_bits(victim_t *v) {
  enum { GETPID = 20 };
  (void)v;
  void (*before)(int) = signal(SIGSEGV, absent);
  if (sigsetjmp(no_way_in, 1) == 0) call32(GETPID, 0, 0, 0);
  else not_here();
  signal(SIGSEGV, before);
}
void lift_by_32_bits(victim_t *v) {
  enum { IOCTL = 54, USERFAULTFD = 374 };
  struct { struct uffdio_api api; struct uffdio_writeprotect lift; } *low = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (low == MAP_FAILED) fail("mmap below 4 GiB");
  low->api.api = UFFD_API;
  low->lift.range.start = (uintptr_t)v->page;
  low->lift.range.len = PAGE;
  long fd = call32(USERFAULTFD, O_CLOEXEC | UFFD_USER_MODE_ONLY, 0, 0);
  if (fd < 0 || call32(IOCTL, fd, (long)UFFDIO_API, (long)(uintptr_t)&low->api) != 0) return;
  if (call32(IOCTL, fd, (long)UFFDIO_WRITEPROTECT, (long)(uintptr_t)&low->lift) == 0) try_store(v->page);
}

/*
 * The kernel takes hold of the page to write to it, and then has to wait for what it is to write: that page comes when a userfaultfd says
 * so, which is after the seal. One from the device may make the kernel wait.
 */
static int source_userfault = -1;
static unsigned char *source;
static int write_from_source(void *page) {
  struct iovec local = {source, 1}, remote = {page, 1};
  syscall(SYS_process_vm_writev, getpid(), &local, 1, &remote, 1, 0);
  return 0;
}
void pin_before(victim_t *v) {
  source = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (v->device >= 0) source_userfault = fresh_userfault(ioctl(v->device, USERFAULT_NEW, O_CLOEXEC));
  struct uffdio_register range = {{(uintptr_t)source, PAGE}, UFFDIO_REGISTER_MODE_MISSING, 0};
  if (source_userfault < 0 || ioctl(source_userfault, UFFDIO_REGISTER, &range) != 0) return;
  clone(write_from_source, stack + sizeof stack, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, v->page);
  usleep(20000);
}
void pin_during(victim_t *v) {
  static unsigned char bytes[4096] __attribute__((aligned(4096))) = {0xEE};
  struct uffdio_copy copy = {(uintptr_t)source, (uintptr_t)bytes, PAGE, 0, 0};
  (void)v;
  if (source_userfault >= 0) ioctl(source_userfault, UFFDIO_COPY, &copy);
}
