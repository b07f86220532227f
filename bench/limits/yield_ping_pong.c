/*
 * The limit of a call when both processes share one CPU: each waiting side gives the CPU away with
 * sched_yield, so a round trip is two context switches. Prints {"mean_ns": x} per batch.
 */
#define WHILE_WAITING() ((void)sched_yield())
#include "bounce.h"

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: yield_ping_pong CPU ROUND_TRIPS BATCHES\n");
    return 2;
  }
  unsigned long cpu = parse_number(argv[1], "CPU", 0);
  return bounce(cpu, cpu, parse_number(argv[2], "ROUND_TRIPS", 1),
                parse_number(argv[3], "BATCHES", 1));
}
