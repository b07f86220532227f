/*
 * What a program finds of its launcher. `inheriting give COMMAND…` is the launcher's user at work: a terminal, a session keyring with a key in
 * it, and the command in both; what the command writes to the terminal is passed on. `inheriting take` is the program: it says, one a line,
 * what it could do with the terminal and the key, as the errno that stood in its way (0: nothing did), and its environment.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <pty.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOIN_SESSION_KEYRING = 1, KEYCTL_SEARCH = 10, KEYCTL_READ = 11, SESSION_KEYRING = -3 };
static const char KEY[] = "rpcool-inheriting";
extern char **environ;

static int give(char **command) {
  if (syscall(SYS_keyctl, JOIN_SESSION_KEYRING, NULL) < 0) perror("keyctl");
  else if (syscall(SYS_add_key, "user", KEY, "secret", 6, SESSION_KEYRING) < 0) perror("add_key");
  int terminal;
  pid_t child = forkpty(&terminal, NULL, NULL, NULL);
  if (child == 0) {
    execv(command[0], command);
    _exit(127);
  }
  if (child < 0) return 3;
  char bytes[4096];
  for (ssize_t got; (got = read(terminal, bytes, sizeof bytes)) > 0;) if (write(1, bytes, (size_t)got) != got) return 4;
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* The kernel looks at the lower 32 bits of a request alone: what lies above must not get it past a filter. */
static void try_terminal(const char *name, unsigned long request, char *argument) {
  printf("%s %d\n", name, syscall(SYS_ioctl, 0, request, argument) < 0 ? errno : 0);
}

static int take(void) {
  char character[2] = "\n";
  try_terminal("TIOCSTI", 0x5412, character);
  try_terminal("TIOCSTI-high", 0x5412 | 1ul << 40, character);
  try_terminal("TIOCLINUX", 0x541c, character);
  printf("AF_XDP %d\n", socket(44, SOCK_RAW, 0) < 0 ? errno : 0);
  printf("TCP_ULP %d\n", setsockopt(socket(AF_INET, SOCK_STREAM, 0), IPPROTO_TCP, 31, "tls", 3) < 0 ? errno : 0);
  int on = 1;
  printf("TCP_NODELAY %d\n", setsockopt(socket(AF_INET, SOCK_STREAM, 0), IPPROTO_TCP, 1, &on, sizeof on) < 0 ? errno : 0);
  char value[16];
  long key = syscall(SYS_keyctl, KEYCTL_SEARCH, SESSION_KEYRING, "user", KEY, 0);
  if (key >= 0) key = syscall(SYS_keyctl, KEYCTL_READ, key, value, sizeof value);
  printf("key %d\n", key < 0 ? errno : 0);
  for (char **one = environ; *one != NULL; one++) printf("environment %s\n", *one);
  return 0;
}

int main(int count, char **words) {
  if (count > 2 && strcmp(words[1], "give") == 0) return give(words + 2);
  if (count > 1 && strcmp(words[1], "take") == 0) return take();
  return 2;
}
