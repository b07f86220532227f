/*
 * The limit of a call over shared memory: two processes bounce one cache line, each pinned to its
 * own CPU, with no pause instruction in the waiting loop. Prints {"mean_ns": x} per batch.
 */
#define WHILE_WAITING() ((void)0)
#include "bounce.h"

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: ping_pong ASKING_CPU ANSWERING_CPU ROUND_TRIPS BATCHES\n");
    return 2;
  }
  unsigned long asking = parse_number(argv[1], "ASKING_CPU", 0);
  unsigned long answering = parse_number(argv[2], "ANSWERING_CPU", 0);
  if (asking == answering) {
    fprintf(stderr, "two CPUs are needed: on one CPU use yield_ping_pong\n");
    return 2;
  }
  return bounce(asking, answering, parse_number(argv[3], "ROUND_TRIPS", 1),
                parse_number(argv[4], "BATCHES", 1));
}
