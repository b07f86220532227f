/* What every attack uses: the sealed page, and how a store is tried without dying of it. */
#ifndef RPCOOL_ATTACKER_H
#define RPCOOL_ATTACKER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/userfaultfd.h>

#define PAGE 4096ul
/* The page that is sealed, within the heap. */
#define TARGET_PAGE 5ul

typedef struct {
  unsigned char *heap;
  uint64_t length;
  unsigned char *page;
  /* Kept copies, -1 where the attacker was given none. */
  int heap_fd;
  int userfault;
  int device;
} victim_t;

typedef struct {
  const char *name;
  /* Runs before the seal; may be NULL. */
  void (*before)(victim_t *);
  /* Runs while the page is sealed: does what it can to change it. */
  void (*during)(victim_t *);
} attack_t;

extern const attack_t ATTACKS[];
extern const size_t ATTACK_COUNT;

/* In kernel-attacks.c. */
void lift_kept(victim_t *);
void lift_device(victim_t *);
void lift_own(victim_t *);
void unregister_own(victim_t *);
void register_own(victim_t *);
void uring_before(victim_t *);
void uring_during(victim_t *);
void direct_before(victim_t *);
void direct_during(victim_t *);

/* A store to an address by a process or thread that may be stopped for ever, or die. */
void try_store(unsigned char *address);

#endif
