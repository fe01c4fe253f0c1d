/* tick: a health check that counts itself: each run makes /ticks one byte longer. */
#include <fcntl.h>
#include <unistd.h>

int main(void) {
  int fd = open("/ticks", O_WRONLY | O_CREAT | O_APPEND, 0644);
  return fd < 0 || write(fd, "x", 1) != 1;
}
