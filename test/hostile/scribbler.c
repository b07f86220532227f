// Rewrites memory of a process of the same user, as another thread of it could: words at random places of a range, with noise, small
// numbers, all ones, and words that were there before. Arguments: pid, address, length, milliseconds, seed, and, to be slower than it can, a
// pause in microseconds. Says how often it wrote, and how often the kernel refused it; ends earlier when its input does.
#define _GNU_SOURCE
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>

static uint64_t state;

static uint32_t next(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 16);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
  if (argc != 6 && argc != 7) return 2;
  long pause = argc == 7 ? atol(argv[6]) : 0;
  struct pollfd input = {0, POLLIN, 0};
  pid_t pid = atoi(argv[1]);
  uint64_t address = strtoull(argv[2], NULL, 10), length = strtoull(argv[3], NULL, 10);
  double end = now() + atof(argv[4]);
  state = strtoull(argv[5], NULL, 10) | 1;
  uint32_t seen[64] = {0};
  uint64_t writes = 0, refused = 0;
  while (now() < end && (argc != 7 || poll(&input, 1, 0) == 0)) {
    for (int i = 0; i < 64; i++) {
      uint64_t at = address + (next() % (length / 4)) * 4;
      uint32_t value = seen[next() % 64];
      switch (next() % 5) {
        case 0: value = next(); break;
        case 1: value = next() % 100; break;
        case 2: value = 0xffffffffu; break;
        case 3: value ^= 1u << (next() % 32); break;
        default: break;
      }
      uint32_t old;
      struct iovec local = {&old, 4}, remote = {(void *)(uintptr_t)at, 4};
      if (process_vm_readv(pid, &local, 1, &remote, 1, 0) == 4 && old != 0) seen[next() % 64] = old;
      local.iov_base = &value;
      if (process_vm_writev(pid, &local, 1, &remote, 1, 0) == 4) writes++;
      else refused++;
      if (pause == 0) continue;
      struct timespec time = {0, pause * 1000};
      nanosleep(&time, NULL);
      if (poll(&input, 1, 0) != 0) break;
    }
  }
  printf("%llu %llu\n", (unsigned long long)writes, (unsigned long long)refused);
  return 0;
}
