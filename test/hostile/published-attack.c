// A client that holds the file of a published heap (descriptor 3) and tries to change it. Says what succeeded.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int tried, succeeded;

static void attack(const char *what, int success) {
  tried++;
  if (!success) return;
  succeeded++;
  printf("%s\n", what);
}

static int map_writable(int fd, size_t length) {
  return mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED;
}

int main(int argc, char **argv) {
  size_t length = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
  int fd = 3;
  char bytes[64];
  memset(bytes, 0x5a, sizeof bytes);

  char *shared = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
  if (shared == MAP_FAILED) return perror("the file cannot even be read"), 1;
  attack("a writable mapping", map_writable(fd, length));
  attack("mprotect of a readable mapping", mprotect(shared, length, PROT_READ | PROT_WRITE) == 0);
  attack("write", pwrite(fd, bytes, sizeof bytes, 64) > 0);
  struct iovec vector = {bytes, sizeof bytes};
  attack("writev", pwritev(fd, &vector, 1, 64) > 0);
  attack("sendfile into it", sendfile(fd, open("/proc/self/exe", O_RDONLY), NULL, 64) > 0);
  attack("shrinking", ftruncate(fd, 0) == 0);
  attack("growing", ftruncate(fd, length * 2) == 0);
  attack("punching a hole", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, length) == 0);
  attack("MADV_REMOVE", madvise(shared, length, MADV_REMOVE) == 0);
  // Readers map what nobody can write any more: a seal that forbids mappings would lock newcomers out.
  attack("further seals", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);

  fchmod(fd, 0777);
  int again = open("/proc/self/fd/3", O_RDWR);
  attack("a writable mapping of the file opened again", again >= 0 && map_writable(again, length));
  attack("write to the file opened again", again >= 0 && pwrite(again, bytes, sizeof bytes, 64) > 0);
  attack("opening it to truncate it", open("/proc/self/fd/3", O_RDWR | O_TRUNC) >= 0);

  // A private mapping may be written: it must stay private.
  char *private = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  char was = shared[length - 1];
  if (private != MAP_FAILED) private[length - 1] = (char)(was + 1);
  attack("a store through a private mapping", shared[length - 1] != was);

  printf("%d attacks, %d succeeded\n", tried, succeeded);
  return succeeded > 0;
}
