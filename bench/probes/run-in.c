/*
 * run-in CGROUPS PID PROGRAM ARGUMENT...: runs a program where another process is, and times it.
 *
 * CGROUPS is a colon list of cgroup.procs files to join; PID a process whose mount, network and pid namespaces to enter.
 * When the program has ended, descriptor 3 gets one line: wall nanoseconds (from before fork until it is reaped),
 * user and system microseconds of it and of all that it waited for, exit code.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  exit(125);
}

static long long nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static long long microseconds(struct timeval time) {
  return time.tv_sec * 1000000LL + time.tv_usec;
}

int main(int count, char **words) {
  if (count < 4) return fprintf(stderr, "usage: run-in CGROUPS PID PROGRAM ARGUMENT...\n"), 2;
  for (char *file = strtok(words[1], ":"); file != NULL; file = strtok(NULL, ":")) {
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) fail(file);
    close(fd);
  }
  int place = syscall(SYS_pidfd_open, atoi(words[2]), 0);
  if (place < 0) fail("pidfd_open");
  if (setns(place, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC)) fail("setns");
  close(place);
  fcntl(3, F_SETFD, FD_CLOEXEC);
  long long start = nanoseconds();
  pid_t child = vfork();
  if (child < 0) fail("vfork");
  if (child == 0) {
    execvp(words[3], words + 3);
    _exit(127);
  }
  int status = 0;
  if (waitpid(child, &status, 0) < 0) fail("waitpid");
  long long wall = nanoseconds() - start;
  struct rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage);
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  dprintf(3, "%lld %lld %lld %d\n", wall, microseconds(usage.ru_utime), microseconds(usage.ru_stime), code);
  return code;
}
