/*
 * One cache line between two processes.
 *
 *   offset 0        4                                63
 *          +--------+--------------------------------+
 *          | turn   | unused: the line is ours alone |
 *          +--------+--------------------------------+
 *
 * turn is odd while the answering side has to act and even while the asking side has to. Each
 * side publishes with a release store that pairs with the other side's acquire load.
 */
#ifndef RPCOOL_BENCH_BOUNCE_H
#define RPCOOL_BENCH_BOUNCE_H

#include <stdatomic.h>

#include "limit.h"

typedef struct {
  _Alignas(64) _Atomic uint32_t turn;
} line_t;

/* WHILE_WAITING() is what a side does between two looks at the line: nothing, or sched_yield(). */
#ifndef WHILE_WAITING
#error "define WHILE_WAITING() before including bounce.h"
#endif

static void answer_forever(line_t *line) {
  uint32_t expected = 1;
  for (;;) {
    while (atomic_load_explicit(&line->turn, memory_order_acquire) != expected) WHILE_WAITING();
    atomic_store_explicit(&line->turn, expected + 1, memory_order_release);
    expected += 2;
  }
}

static uint32_t ask(line_t *line, uint32_t turn, unsigned long round_trips) {
  for (unsigned long i = 0; i < round_trips; i++) {
    atomic_store_explicit(&line->turn, turn + 1, memory_order_release);
    while (atomic_load_explicit(&line->turn, memory_order_acquire) != turn + 2) WHILE_WAITING();
    turn += 2;
  }
  return turn;
}

static int bounce(unsigned long asking_cpu, unsigned long answering_cpu, unsigned long round_trips,
                  unsigned long batches) {
  end_with_parent();
  void *memory =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) fail("mmap");
  line_t *line = memory;
  atomic_init(&line->turn, 0);

  pid_t parent = getpid();
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    end_with_parent();
    if (getppid() != parent) _exit(1); /* the parent died before the line above took effect */
    pin_to_cpu(answering_cpu);
    answer_forever(line);
  }
  pin_to_cpu(asking_cpu);

  uint32_t turn = ask(line, 0, round_trips); /* warm-up: one batch, not reported */
  for (unsigned long batch = 0; batch < batches; batch++) {
    double start = now_ns();
    turn = ask(line, turn, round_trips);
    print_batch((now_ns() - start) / (double)round_trips);
  }
  kill(child, SIGKILL);
  if (waitpid(child, NULL, 0) != child) fail("waitpid");
  return 0;
}

#endif
