/* Attacks by other processes, and by ways into the own process's memory that need no store. */
#include "attacker.h"

#include <pthread.h>

static int pipe_fds[2];
static pid_t child;
static char stack[65536];

static int clone_store(void *page) {
  try_store(page);
  return 0;
}

void vm_child_store(victim_t *v) {
  clone(clone_store, stack + sizeof stack, CLONE_VM | SIGCHLD, v->page);
  usleep(50000);
}

/* As vfork(2) does, but on a stack of its own. */
void vfork_store(victim_t *v) {
  clone(clone_store, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, v->page);
}

void fork_after(victim_t *v) {
  pid_t one = fork();
  if (one == 0) {
    try_store(v->page);
    _exit(0);
  }
  usleep(50000);
  if (one > 0) kill(one, SIGKILL);
}

void fork_inherit(victim_t *v) { madvise(v->heap, v->length, MADV_DOFORK); }

void fork_before(victim_t *v) {
  fork_inherit(v);
  if (pipe(pipe_fds) != 0) return;
  child = fork();
  if (child != 0) return;
  /* As for the accomplice in attacker.c: it must not outlive its parent. */
  close(pipe_fds[1]);
  char go;
  if (read(pipe_fds[0], &go, 1) == 1) try_store(v->page);
  _exit(0);
}

void let_child(victim_t *v) {
  (void)v;
  if (write(pipe_fds[1], "x", 1) == 1) usleep(50000);
  if (child > 0) kill(child, SIGKILL);
}

/* What a program finds that is started in the place of the sender. */
void probe_after_exec(unsigned char *page, int fd, uint64_t offset, uint64_t length) {
  unsigned char *at = fd < 0 ? MAP_FAILED : mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
  if (at != MAP_FAILED) try_store(at + TARGET_PAGE * PAGE);
  try_store(page);
}

void exec_probe(victim_t *v) {
  char texts[4][32];
  snprintf(texts[0], 32, "%llu", (unsigned long long)(uintptr_t)v->page);
  snprintf(texts[1], 32, "%d", v->heap_fd);
  snprintf(texts[2], 32, "%llu", (unsigned long long)v->first);
  snprintf(texts[3], 32, "%llu", (unsigned long long)v->length);
  if (fork() == 0) execl("/proc/self/exe", "attacker", "after exec", texts[0], texts[1], texts[2], texts[3], (char *)NULL);
}

void own_memory_file(victim_t *v) {
  int fd = open("/proc/self/mem", O_RDWR);
  if (fd >= 0 && pwrite(fd, "\xEE", 1, (off_t)(uintptr_t)v->page) < 0) errno = 0;
}

void write_self(victim_t *v) {
  struct iovec local = {"\xEE", 1}, remote = {v->page, 1};
  syscall(SYS_process_vm_writev, getpid(), &local, 1, &remote, 1, 0);
}

void peer_writes(victim_t *v) {
  prctl(PR_SET_PTRACER, -1, 0, 0, 0);
  pid_t target = getpid();
  pid_t peer = fork();
  if (peer == 0) {
    struct iovec local = {"\xEE", 1}, remote = {v->page, 1};
    syscall(SYS_process_vm_writev, target, &local, 1, &remote, 1, 0);
    _exit(0);
  }
  usleep(50000);
  if (peer > 0) kill(peer, SIGKILL);
}

void peer_memory_file(victim_t *v) {
  prctl(PR_SET_PTRACER, -1, 0, 0, 0);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mem", getpid());
  pid_t peer = fork();
  if (peer == 0) {
    int fd = open(path, O_RDWR);
    if (fd >= 0 && pwrite(fd, "\xEE", 1, (off_t)(uintptr_t)v->page) < 0) errno = 0;
    _exit(0);
  }
  usleep(50000);
  if (peer > 0) kill(peer, SIGKILL);
}

void peer_pokes(victim_t *v) {
  prctl(PR_SET_PTRACER, -1, 0, 0, 0);
  pid_t target = getpid();
  pid_t peer = fork();
  if (peer == 0) {
    if (ptrace(PTRACE_ATTACH, target, 0, 0) != 0) _exit(1);
    waitpid(target, NULL, 0);
    ptrace(PTRACE_POKEDATA, target, v->page, 0xEEEEEEEEul);
    ptrace(PTRACE_DETACH, target, 0, 0);
    _exit(0);
  }
  usleep(50000);
  if (peer > 0) kill(peer, SIGKILL);
}

static void store_by_map_files(victim_t *v, const char *path) {
  int fd = open(path, O_RDWR);
  if (fd < 0) return;
  unsigned char *at = mmap(NULL, v->length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)v->first);
  if (at != MAP_FAILED) try_store(at + TARGET_PAGE * PAGE);
}

static void path_of_mapping(victim_t *v, char *path, size_t capacity) {
  snprintf(path, capacity, "/proc/%d/map_files/%lx-%lx", getpid(), (unsigned long)v->heap, (unsigned long)(v->heap + v->length));
}

void map_files(victim_t *v) {
  char path[96];
  path_of_mapping(v, path, sizeof path);
  store_by_map_files(v, path);
}

/* In a user namespace of its own a process has every capability there. */
void map_files_elsewhere(victim_t *v) {
  char path[96];
  path_of_mapping(v, path, sizeof path);
  pid_t one = fork();
  if (one == 0) {
    if (unshare(CLONE_NEWUSER) == 0) store_by_map_files(v, path);
    _exit(0);
  }
  usleep(50000);
  if (one > 0) kill(one, SIGKILL);
}

/* The test starts another process of this user, which nobody confines, and says when that has begun. */
void await_accomplice(victim_t *v) {
  char line[16];
  printf("accomplice %d %llu\n", getpid(), (unsigned long long)(uintptr_t)v->page);
  fflush(stdout);
  if (fgets(line, sizeof line, stdin) == NULL) fail("to wait for the accomplice");
}

void dumpable_and_await(victim_t *v) {
  prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  await_accomplice(v);
}

static struct { pid_t victim; struct iovec local, remote; } writing;
static void *write_there(void *unused) {
  (void)unused;
  syscall(SYS_process_vm_writev, writing.victim, &writing.local, 1, &writing.remote, 1, 0);
  return NULL;
}

/*
 * That process. Held up: the kernel takes hold of the victim's page first, and then waits for what is to be written there, which lies in a
 * file that is slow to be read.
 */
void be_accomplice(pid_t victim, unsigned char *page, int held_up) {
  static char byte[] = "\xEE";
  char line[16];
  pthread_t thread;
  void *source = byte;
  if (held_up) source = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, open_slow(victim), 0);
  if (source == MAP_FAILED) fail("mmap of the slow file");
  writing.victim = victim;
  writing.local = (struct iovec){source, 1};
  writing.remote = (struct iovec){page, 1};
  if (held_up && pthread_create(&thread, NULL, write_there, NULL) != 0) fail("pthread_create");
  usleep(50000);
  printf("begun\n");
  fflush(stdout);
  if (fgets(line, sizeof line, stdin) == NULL) return;
  if (held_up) let_slow(victim);
  else if (pthread_create(&thread, NULL, write_there, NULL) != 0) fail("pthread_create");
  /* Until it is killed: a write to a sealed page waits. */
  for (;;) pause();
}
