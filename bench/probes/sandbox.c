/*
 * sandbox WORK [--tree DIR] [--no-cgroup2]: a place for one engine that is measured.
 *
 * Makes mount, network and pid namespaces, so that what an engine does to interfaces, routes, packet filters and mounts
 * stays inside and ends with it. With --tree the root is DIR (a debootstrapped system). WORK is at the same path inside.
 * Prints the pid of the first process (man 7 pid_namespaces: killing it kills everything inside) and stays until
 * standard input ends; then everything is killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what) {
  perror(what);
  _exit(1);
}

static void make_directories(const char *path) {
  char part[4096];
  for (size_t i = 1; path[i - 1] != 0; i++) {
    if (path[i] != '/' && path[i] != 0) continue;
    snprintf(part, sizeof part, "%.*s", (int)i, path);
    if (mkdir(part, 0755) && errno != EEXIST) fail(part);
  }
}

static void mount_at(const char *root, const char *target, const char *source, const char *type) {
  char path[4096];
  snprintf(path, sizeof path, "%s%s", root, target);
  make_directories(path);
  unsigned long flags = type == NULL ? MS_BIND | MS_REC : 0;
  if (mount(source, path, type, flags, NULL)) fail(path);
}

/* The new /sys shows the new network namespace; the control groups are the machine's. */
static void mount_kernel_views(const char *root, const char *work, int without_cgroup2) {
  char kept[4096];
  snprintf(kept, sizeof kept, "%s/.cgroup", work);
  mount_at("", kept, "/sys/fs/cgroup", NULL);
  mount_at(root, "/proc", "proc", "proc");
  mount_at(root, "/sys", "sysfs", "sysfs");
  mount_at(root, "/sys/fs/cgroup", kept, NULL);
  if (umount2(kept, MNT_DETACH)) fail(kept);
  rmdir(kept);
  char unified[4096];
  snprintf(unified, sizeof unified, "%s/sys/fs/cgroup/unified", root);
  if (without_cgroup2) umount2(unified, MNT_DETACH);
}

static void enter_tree(const char *tree, const char *work, int without_cgroup2) {
  if (mount(tree, tree, NULL, MS_BIND, NULL)) fail(tree);
  mount_at(tree, "/dev", "/dev", NULL);
  mount_at(tree, "/tmp", "tmpfs", "tmpfs");
  mount_at(tree, work, work, NULL);
  mount_at(tree, "/run", "tmpfs", "tmpfs");
  mount_kernel_views(tree, work, without_cgroup2);
  if (chdir(tree)) fail(tree);
  if (syscall(SYS_pivot_root, ".", ".")) fail("pivot_root");
  if (umount2(".", MNT_DETACH)) fail("umount of the old root");
  if (chdir("/")) fail("/");
}

static void loopback_up(void) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
  if (ioctl(fd, SIOCSIFFLAGS, &request)) fail("lo");
  close(fd);
}

/* Shims and detached daemons become its children; it reaps them, nothing else. */
static void be_first_process(void) {
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  for (;;) {
    sigwaitinfo(&children, NULL);
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
  }
}

int main(int count, char **words) {
  const char *tree = NULL;
  int without_cgroup2 = 0;
  for (int i = 2; i < count; i++) {
    if (strcmp(words[i], "--tree") == 0 && i + 1 < count) tree = words[++i];
    else if (strcmp(words[i], "--no-cgroup2") == 0) without_cgroup2 = 1;
    else return fprintf(stderr, "unknown word %s\n", words[i]), 2;
  }
  if (count < 2) return fprintf(stderr, "usage: sandbox WORK [--tree DIR] [--no-cgroup2]\n"), 2;
  if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC)) fail("unshare");
  sigset_t children;
  sigemptyset(&children);
  sigaddset(&children, SIGCHLD);
  sigprocmask(SIG_BLOCK, &children, NULL);
  int ready[2];
  if (pipe(ready)) fail("pipe");
  pid_t first = fork();
  if (first < 0) fail("fork");
  if (first == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) fail("private mounts");
    loopback_up();
    if (tree != NULL) {
      enter_tree(tree, words[1], without_cgroup2);
    } else {
      mount_at("", "/run", "tmpfs", "tmpfs");
      mount_kernel_views("", words[1], without_cgroup2);
    }
    if (write(ready[1], "x", 1) != 1) fail("pipe");
    for (int fd = 0; fd < 64; fd++) {
      if (fd != 2) close(fd);
    }
    be_first_process();
  }
  close(ready[1]);
  char byte;
  if (read(ready[0], &byte, 1) == 1) {
    printf("%d\n", first);
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {
    }
  }
  kill(first, SIGKILL);
  waitpid(first, NULL, 0);
  return 0;
}
