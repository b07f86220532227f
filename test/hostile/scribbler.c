// Rewrites memory of a process of the same user, as another thread of it could: words at random places of a range, and now and then a few
// bytes at any place, with noise, small numbers, all ones, and words that were there before. Arguments: pid, address, length, milliseconds,
// seed, a pause in microseconds, to be slower than it can, and how many bytes at the range's start get three quarters of it. Says how often it
// wrote, how often the kernel refused it, and the farthest byte that it wrote; with a pause named it ends earlier, when its input does.
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
  if (argc < 6 || argc > 8) return 2;
  long pause = argc > 6 ? atol(argv[6]) : 0;
  struct pollfd input = {0, POLLIN, 0};
  pid_t pid = atoi(argv[1]);
  uint64_t address = strtoull(argv[2], NULL, 10), length = strtoull(argv[3], NULL, 10);
  uint64_t hot = argc > 7 ? strtoull(argv[7], NULL, 10) : length;
  if (hot > length) hot = length;
  double end = now() + atof(argv[4]);
  state = strtoull(argv[5], NULL, 10) | 1;
  uint32_t seen[64] = {0};
  uint64_t writes = 0, refused = 0, farthest = 0;
  while (now() < end && (argc < 7 || poll(&input, 1, 0) == 0)) {
    for (int i = 0; i < 64; i++) {
      uint64_t within = next() % 4 != 0 ? hot : length, place = (next() % (within / 4)) * 4, size = 4;
      if (next() % 8 == 0) {
        size = 1 + next() % 4;
        place = next() % (within - size + 1);
      }
      uint64_t at = address + place;
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
      local.iov_len = remote.iov_len = size;
      if (process_vm_writev(pid, &local, 1, &remote, 1, 0) == (ssize_t)size) {
        writes++;
        if (place + size > farthest) farthest = place + size;
      } else {
        refused++;
      }
      if (pause == 0) continue;
      struct timespec time = {0, pause * 1000};
      nanosleep(&time, NULL);
      if (poll(&input, 1, 0) != 0) break;
    }
  }
  printf("%llu %llu %llu\n", (unsigned long long)writes, (unsigned long long)refused, (unsigned long long)farthest);
  return 0;
}
