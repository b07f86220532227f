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
  /* Where the heap begins in its file. */
  uint64_t first;
  /* Kept copies, -1 where the attacker was given none. */
  int heap_fd;
  int userfault;
  int device;
  int descriptors_fd;
  /* What it shares with the sealer: NULL where it seals by itself. */
  volatile uint32_t *requests;
  volatile uint32_t *descriptors;
} victim_t;

typedef struct {
  const char *name;
  /* Runs before the seal; may be NULL. */
  void (*before)(victim_t *);
  /* Runs while the page is sealed: does what it can to change it. */
  void (*during)(victim_t *);
  /* Maps the heap in a way of its own, before anything is attached; NULL: at its address, whole, shared. */
  void (*map)(victim_t *);
  /* What it attaches with in the place of its userfaultfd. */
  int (*descriptor)(victim_t *);
} attack_t;

extern const attack_t ATTACKS[];
extern const size_t ATTACK_COUNT;

/* In protocol.c: the sealer's protocol and layout by hand. Each ends the process when the sealer refuses. */
void connect_sealer(const char *path);
int make_userfault(victim_t *);
void attach(victim_t *, const char *token, int userfault);
/* The socket, and an eventfd that wakes a sealer which waits for it. */
extern int sealer, bell;
/* A request that nobody is told of; its first word becomes the outcome. */
volatile uint32_t *post(victim_t *, uint32_t code, uint32_t page, uint32_t pages, uint32_t descriptor);
/* One request; returns its outcome. */
uint32_t request(victim_t *, uint32_t code, uint32_t page, uint32_t pages, uint32_t descriptor);
void fail(const char *what);

enum { SEAL = 1, RELEASE = 2, DONE = 16, FIRST_DESCRIPTOR = 32, COMPLETED = 3 };

#define ATTACK(name) void name(victim_t *)
/* In kernel-attacks.c. */
ATTACK(lift_kept); ATTACK(lift_device); ATTACK(lift_own); ATTACK(unregister_own); ATTACK(register_own);
ATTACK(guard_and_continue); ATTACK(forget_and_continue); ATTACK(double_and_continue);
ATTACK(uring_before); ATTACK(uring_during); ATTACK(uring_after); ATTACK(uring_read);
ATTACK(direct_before); ATTACK(other_direct_before); ATTACK(direct_during); ATTACK(need_32_bits); ATTACK(lift_by_32_bits); ATTACK(pin_before); ATTACK(pin_during);
int open_slow(pid_t victim);
void let_slow(pid_t victim);
/* In process-attacks.c. */
ATTACK(await_accomplice); ATTACK(dumpable_and_await);
void be_accomplice(pid_t victim, unsigned char *page, int held_up);
ATTACK(vm_child_store); ATTACK(vfork_store); ATTACK(fork_after); ATTACK(fork_inherit); ATTACK(fork_before); ATTACK(let_child); ATTACK(exec_probe);
ATTACK(own_memory_file); ATTACK(write_self); ATTACK(peer_writes); ATTACK(peer_pokes); ATTACK(peer_memory_file); ATTACK(map_files); ATTACK(map_files_elsewhere);
void probe_after_exec(unsigned char *page, int fd, uint64_t offset, uint64_t length);
/* In attaching.c. */
ATTACK(map_private); ATTACK(map_shifted); ATTACK(map_beside); ATTACK(map_twice); ATTACK(map_third); ATTACK(map_other_file); ATTACK(map_nothing); ATTACK(map_half);
ATTACK(map_swapped); ATTACK(claim_more); ATTACK(store_second);
int no_userfault(victim_t *);
int childs_userfault(victim_t *);
int used_userfault(victim_t *);
int empty_userfault(victim_t *);
int blocking_userfault(victim_t *);

/* A store to an address by a process or thread that may be stopped for ever, or die. */
void try_store(unsigned char *address);
/* Of an attack whose means this machine does not have. */
void not_here(void);

#endif
