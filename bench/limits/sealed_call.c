/*
 * The limit of a kernel-sealed call: a sender rewrites a page, a trusted process takes its write access away with
 * userfaultfd, a receiver on the other CPU reads the page and answers, the trusted process gives the page back.
 *
 * Who waits where is as in RPCool: the sealing process shares the sender's CPU, which saves the interrupt that takes a page away
 * from a process that runs; the receiver has its own and polls. Here both of them hand that CPU over with sched_yield, which costs less than
 * the bell by which RPCool's sealer is woken, and serves two processes of one session only.
 * Prints {"mean_ns": x} per batch.
 */
#include "limit.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif

enum { PAGE = 4096, PAGES_MAX = 1024, SEAL = 1, RELEASE = 0 };

typedef struct {
  _Alignas(64) _Atomic uint32_t asked;
  uint32_t what;
  _Alignas(64) _Atomic uint32_t done;
  _Alignas(64) _Atomic uint32_t called;
  _Alignas(64) _Atomic uint32_t answered;
} shared_t;

static shared_t *shared;
static char *heap;
static size_t bytes;
static int guard;

static void *shared_memory(size_t length) {
  void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  return memory;
}

static void make_guard(void) {
  int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
  guard = device >= 0 ? ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC)
                      : (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
  if (guard < 0) fail("userfaultfd");
  struct uffdio_api api = {UFFD_API,
      UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED, 0};
  if (ioctl(guard, UFFDIO_API, &api) != 0) fail("UFFDIO_API");
  struct uffdio_register request = {{(uintptr_t)heap, bytes}, UFFDIO_REGISTER_MODE_WP, 0};
  if (ioctl(guard, UFFDIO_REGISTER, &request) != 0) fail("UFFDIO_REGISTER");
}

static void seal_forever(void) {
  for (uint32_t expected = 1;; expected++) {
    while (atomic_load_explicit(&shared->asked, memory_order_acquire) != expected) sched_yield();
    struct uffdio_writeprotect request = {{(uintptr_t)heap, bytes}, shared->what};
    if (ioctl(guard, UFFDIO_WRITEPROTECT, &request) != 0) fail("UFFDIO_WRITEPROTECT");
    atomic_store(&shared->done, expected);
  }
}

static void answer_forever(void) {
  volatile uint64_t sum = 0;
  for (uint32_t expected = 1;; expected++) {
    while (atomic_load_explicit(&shared->called, memory_order_acquire) != expected) {}
    uint64_t read = 0;
    for (size_t i = 0; i < bytes; i += 8) read += *(uint64_t *)(heap + i);
    sum += read;
    atomic_store(&shared->answered, expected);
  }
}

static pid_t start(void (*body)(void), unsigned long cpu) {
  pid_t parent = getpid();
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child != 0) return child;
  end_with_parent();
  if (getppid() != parent) _exit(1);
  pin_to_cpu(cpu);
  body();
  _exit(0);
}

static uint32_t asked, called;

static void ask(uint32_t what) {
  shared->what = what;
  atomic_store(&shared->asked, ++asked);
  while (atomic_load_explicit(&shared->done, memory_order_acquire) != asked) sched_yield();
}

static void sealed_call(unsigned value) {
  for (size_t i = 0; i < bytes; i += 8) *(volatile uint64_t *)(heap + i) = value;
  ask(SEAL);
  atomic_store(&shared->called, ++called);
  while (atomic_load_explicit(&shared->answered, memory_order_acquire) != called) {}
  ask(RELEASE);
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: sealed_call SENDER_CPU RECEIVER_CPU PAGES CALLS BATCHES\n");
    return 2;
  }
  unsigned long sender = parse_number(argv[1], "SENDER_CPU", 0);
  unsigned long receiver = parse_number(argv[2], "RECEIVER_CPU", 0);
  unsigned long pages = parse_number(argv[3], "PAGES", 1);
  unsigned long calls = parse_number(argv[4], "CALLS", 1);
  unsigned long batches = parse_number(argv[5], "BATCHES", 1);
  if (pages > PAGES_MAX) pages = PAGES_MAX;
  end_with_parent();
  pin_to_cpu(sender);
  bytes = pages * PAGE;
  heap = shared_memory(bytes);
  shared = shared_memory(PAGE);
  pid_t receiving = start(answer_forever, receiver);
  make_guard();
  pid_t sealing = start(seal_forever, sender);
  for (unsigned long batch = 0; batch <= batches; batch++) {
    double begin = now_ns();
    for (unsigned long i = 0; i < calls; i++) sealed_call((unsigned)i);
    if (batch > 0) print_batch((now_ns() - begin) / (double)calls);
  }
  kill(receiving, SIGKILL);
  kill(sealing, SIGKILL);
  while (wait(NULL) > 0) {}
  return 0;
}
