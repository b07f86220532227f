/* Makes whoever reads descriptor 3 wait: it is one description for all who have a copy. */
#include <fcntl.h>

int main(void) {
  int flags = fcntl(3, F_GETFL);
  return flags < 0 || fcntl(3, F_SETFL, flags & ~O_NONBLOCK) != 0;
}
