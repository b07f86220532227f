/* Shared by the limit programs: argument parsing, pinning, the clock, one JSON line per batch. */
#ifndef RPCOOL_BENCH_LIMIT_H
#define RPCOOL_BENCH_LIMIT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static unsigned long parse_number(const char *text, const char *name, unsigned long least) {
  char *end = NULL;
  errno = 0;
  unsigned long value = strtoul(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || value < least) {
    fprintf(stderr, "%s must be a number of at least %lu, not \"%s\"\n", name, least, text);
    exit(2);
  }
  return value;
}

static void pin_to_cpu(unsigned long cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) fail("sched_setaffinity");
}

/* Ends this process with the one that started it: a spinning orphan would spoil every later figure. */
static void end_with_parent(void) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail("prctl(PR_SET_PDEATHSIG)");
}

static double now_ns(void) {
  struct timespec t;
  if (clock_gettime(CLOCK_MONOTONIC, &t) != 0) fail("clock_gettime");
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void print_batch(double mean_ns) {
  printf("{\"mean_ns\":%.3f}\n", mean_ns);
  fflush(stdout);
}

#endif
