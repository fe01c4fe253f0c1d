/*
 * log-lines COUNT WIDTH: writes COUNT numbered lines of WIDTH bytes, one write(2) a line as a line-buffered program does.
 * At the end one line on standard error: the nanoseconds that it took until the last write was accepted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int main(int count, char **words) {
  if (count < 3) return fprintf(stderr, "usage: log-lines COUNT WIDTH\n"), 2;
  long lines = atol(words[1]);
  int width = atoi(words[2]);
  char line[4096];
  if (width < 12 || width > (int)sizeof line) return 2;
  memset(line, 'x', sizeof line);
  line[10] = ' ';
  line[width - 1] = '\n';
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (long i = 0; i < lines; i++) {
    char number[32];
    snprintf(number, sizeof number, "%010ld", i);
    memcpy(line, number, 10);
    for (int done = 0; done < width;) {
      ssize_t written = write(1, line + done, width - done);
      if (written < 0) return 1;
      done += written;
    }
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  fprintf(stderr, "took %lld ns\n", (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec);
  return 0;
}
