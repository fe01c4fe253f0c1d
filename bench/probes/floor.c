/*
 * floor LOWER WORK COUNT CONTROLLER...: the least that the kernel asks of whoever starts a container, in plain C.
 *
 * For each of COUNT containers, one after another: control groups with limits (v1, below tsstack-floor/), an overlay with a new
 * upper directory, the namespaces mnt, pid, net, uts, ipc and cgroup, a veth pair from a bridge into the container with
 * address and default route, /proc, /dev, /dev/pts, /dev/shm, pivot_root, host name, execve. No user namespace, no
 * seccomp filter, no capabilities dropped, no log, nothing written down: what an engine does beside that is its own.
 *
 * LOWER is a directory with a program /bin/sleep; WORK a directory for the upper ones. Wants a network namespace of its
 * own. All containers stay until the last one runs. Prints nanoseconds: a line for each container, from nothing until its
 * program is executed, then one more for killing all of them and giving everything back.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONTAINERS = 1000, MESSAGE_BYTES = 1024, STACK_BYTES = 1 << 16 };

struct message {
  struct nlmsghdr header;
  char body[MESSAGE_BYTES];
};

struct container {
  int number;
  pid_t pid;
  int go;       /* the child waits here for its network */
  int executed; /* close-on-exec: its end tells the parent that the program runs */
  char directory[512];
};

static const char *lower;
static int bridge;

static void fail(const char *what) {
  perror(what);
  _exit(1);
}

static long long nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/* ---- rtnetlink (man 7 rtnetlink) ---- */

static int open_netlink(void) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) fail("netlink");
  return fd;
}

static void *begin(struct message *message, int type, int flags, size_t size) {
  memset(message, 0, sizeof *message);
  message->header.nlmsg_type = type;
  message->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
  message->header.nlmsg_len = NLMSG_LENGTH(size);
  return NLMSG_DATA(&message->header);
}

static struct rtattr *append(struct message *message, int type, const void *data, int size) {
  struct rtattr *attribute = (void *)((char *)message + NLMSG_ALIGN(message->header.nlmsg_len));
  attribute->rta_type = type;
  attribute->rta_len = RTA_LENGTH(size);
  if (size > 0 && data != NULL) memcpy(RTA_DATA(attribute), data, size);
  message->header.nlmsg_len = NLMSG_ALIGN(message->header.nlmsg_len) + RTA_ALIGN(attribute->rta_len);
  return attribute;
}

static void end_nest(struct message *message, struct rtattr *nest) {
  nest->rta_len = (char *)message + message->header.nlmsg_len - (char *)nest;
}

static void talk(int fd, struct message *message, const char *what) {
  char answer[8192];
  if (send(fd, message, message->header.nlmsg_len, 0) < 0) fail(what);
  for (;;) {
    if (recv(fd, answer, sizeof answer, 0) < 0) fail(what);
    struct nlmsghdr *header = (void *)answer;
    if (header->nlmsg_type != NLMSG_ERROR) continue;
    errno = -((struct nlmsgerr *)NLMSG_DATA(header))->error;
    if (errno != 0) fail(what);
    return;
  }
}

static void make_bridge(int fd) {
  struct message message;
  struct ifinfomsg *link = begin(&message, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *link);
  link->ifi_flags = link->ifi_change = IFF_UP;
  append(&message, IFLA_IFNAME, "flbr0", 6);
  struct rtattr *info = append(&message, IFLA_LINKINFO, NULL, 0);
  append(&message, IFLA_INFO_KIND, "bridge", 6);
  end_nest(&message, info);
  talk(fd, &message, "bridge");
  bridge = if_nametoindex("flbr0");
}

static void link_up(int fd, int index) {
  struct message message;
  struct ifinfomsg *link = begin(&message, RTM_NEWLINK, 0, sizeof *link);
  link->ifi_index = index;
  link->ifi_flags = link->ifi_change = IFF_UP;
  talk(fd, &message, "link up");
}

/* Both ends in one message: ours is born in the bridge and up, the other one is eth0 of the child's namespace. */
static void add_veth(int fd, const struct container *container, pid_t pid) {
  char name[IFNAMSIZ];
  snprintf(name, sizeof name, "fl%d", container->number);
  struct message message;
  struct ifinfomsg *link = begin(&message, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *link);
  link->ifi_flags = link->ifi_change = IFF_UP;
  append(&message, IFLA_IFNAME, name, strlen(name) + 1);
  append(&message, IFLA_MASTER, &bridge, sizeof bridge);
  struct rtattr *info = append(&message, IFLA_LINKINFO, NULL, 0);
  append(&message, IFLA_INFO_KIND, "veth", 4);
  struct rtattr *data = append(&message, IFLA_INFO_DATA, NULL, 0);
  struct rtattr *peer = append(&message, VETH_INFO_PEER, NULL, sizeof(struct ifinfomsg));
  append(&message, IFLA_IFNAME, "eth0", 5);
  append(&message, IFLA_NET_NS_PID, &pid, sizeof pid);
  end_nest(&message, peer);
  end_nest(&message, data);
  end_nest(&message, info);
  talk(fd, &message, "veth");
}

static void configure_inside(int number) {
  int fd = open_netlink();
  int index = if_nametoindex("eth0");
  link_up(fd, if_nametoindex("lo"));
  struct message message;
  struct ifaddrmsg *address = begin(&message, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, sizeof *address);
  in_addr_t own = htonl(0x0a630000 + number % 60000 + 2);
  address->ifa_family = AF_INET;
  address->ifa_prefixlen = 16;
  address->ifa_index = index;
  append(&message, IFA_LOCAL, &own, sizeof own);
  append(&message, IFA_ADDRESS, &own, sizeof own);
  talk(fd, &message, "address");
  link_up(fd, index);
  struct rtmsg *route = begin(&message, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, sizeof *route);
  in_addr_t gateway = htonl(0x0a630001);
  route->rtm_family = AF_INET;
  route->rtm_table = RT_TABLE_MAIN;
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_type = RTN_UNICAST;
  append(&message, RTA_GATEWAY, &gateway, sizeof gateway);
  talk(fd, &message, "route");
  close(fd);
}

/* ---- control groups v1 ---- */

static void write_file(const char *directory, const char *file, const char *text) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", directory, file);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) fail(path);
  close(fd);
}

static void cgroup_path(char *path, size_t size, const char *controller, int number) {
  int length = snprintf(path, size, "/sys/fs/cgroup/%s/tsstack-floor", controller);
  if (number >= 0) snprintf(path + length, size - length, "/%d", number);
}

static void make_cgroup(const char *controller, int number) {
  char path[256];
  cgroup_path(path, sizeof path, controller, number);
  if (mkdir(path, 0755)) fail(path);
  if (strcmp(controller, "memory") == 0) write_file(path, "memory.limit_in_bytes", "268435456");
  if (strcmp(controller, "pids") == 0) write_file(path, "pids.max", "100");
  if (strcmp(controller, "cpu") == 0) write_file(path, "cpu.cfs_quota_us", "100000");
}

static void join_cgroup(const char *controller, int number, pid_t pid) {
  char path[256], text[16];
  cgroup_path(path, sizeof path, controller, number);
  snprintf(text, sizeof text, "%d", pid);
  write_file(path, "cgroup.procs", text);
}

static void remove_cgroup(const char *controller, int number) {
  char path[256];
  cgroup_path(path, sizeof path, controller, number);
  for (int tries = 0; rmdir(path) && errno == EBUSY && tries < 1000; tries++) usleep(100);
}

/* ---- the container ---- */

static const char *const PARTS[] = {"", "/upper", "/work", "/merged", "/work/work"};

static void make_directories(struct container *container, const char *work) {
  char path[600];
  snprintf(container->directory, sizeof container->directory, "%s/%d", work, container->number);
  for (int i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "%s%s", container->directory, PARTS[i]);
    if (mkdir(path, 0755)) fail(path);
  }
}

static void remove_directories(const struct container *container) {
  char path[600];
  for (int i = 4; i >= 0; i--) {
    snprintf(path, sizeof path, "%s%s", container->directory, PARTS[i]);
    if (rmdir(path)) perror(path);
  }
}

static void mount_root(const struct container *container) {
  char options[2048], merged[600];
  const char *directory = container->directory;
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) fail("private");
  snprintf(merged, sizeof merged, "%s/merged", directory);
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, directory, directory);
  if (mount("overlay", merged, "overlay", 0, options)) fail("overlay");
  if (chdir(merged)) fail("merged");
  if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) fail("proc");
  if (mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=65536k")) fail("dev");
  if (mknod("dev/null", S_IFCHR | 0666, makedev(1, 3))) fail("dev/null");
  if (mkdir("dev/pts", 0755) || mkdir("dev/shm", 01777)) fail("dev");
  if (mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666")) fail("devpts");
  if (mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=65536k")) fail("shm");
  if (syscall(SYS_pivot_root, ".", ".")) fail("pivot_root");
  if (umount2(".", MNT_DETACH)) fail("old root");
  if (chdir("/")) fail("/");
}

static int run_container(void *argument) {
  struct container *container = argument;
  char byte;
  if (read(container->go, &byte, 1) != 1) _exit(1);
  configure_inside(container->number);
  sethostname("floor", 5);
  mount_root(container);
  char *words[] = {"sleep", "1000", NULL}, *environment[] = {"PATH=/bin", NULL};
  execve("/bin/sleep", words, environment);
  fail("execve");
  return 1;
}

static void boot(struct container *container, char **controllers, const char *work) {
  static char stack[STACK_BYTES];
  static int netlink = -1;
  if (netlink < 0) netlink = open_netlink();
  if (bridge == 0) make_bridge(netlink);
  char byte = 0;
  long long start = nanoseconds();
  for (char **name = controllers; *name != NULL; name++) make_cgroup(*name, container->number);
  make_directories(container, work);
  int go[2], executed[2];
  if (pipe2(go, O_CLOEXEC) || pipe2(executed, O_CLOEXEC)) fail("pipe");
  container->go = go[0];
  int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | SIGCHLD;
  container->pid = clone(run_container, stack + sizeof stack, flags, container);
  if (container->pid < 0) fail("clone");
  close(executed[1]);
  for (char **name = controllers; *name != NULL; name++) join_cgroup(*name, container->number, container->pid);
  add_veth(netlink, container, container->pid);
  if (write(go[1], "x", 1) != 1) fail("go");
  if (read(executed[0], &byte, 1) != 0) fail("executed");
  printf("%lld\n", nanoseconds() - start);
  close(go[0]);
  close(go[1]);
  close(executed[0]);
}

static void end(const struct container *container, char **controllers) {
  if (waitpid(container->pid, NULL, 0) != container->pid) fail("waitpid");
  for (char **name = controllers; *name != NULL; name++) remove_cgroup(*name, container->number);
  remove_directories(container);
}

int main(int count, char **words) {
  int containers = count < 5 ? 0 : atoi(words[3]);
  if (containers < 1 || containers > MAX_CONTAINERS) {
    return fprintf(stderr, "usage: floor LOWER WORK COUNT CONTROLLER...\n"), 2;
  }
  static struct container all[MAX_CONTAINERS];
  char **controllers = words + 4;
  lower = words[1];
  char path[256];
  for (char **name = controllers; *name != NULL; name++) {
    cgroup_path(path, sizeof path, *name, -1);
    if (mkdir(path, 0755) && errno != EEXIST) fail(path);
  }
  for (int i = 0; i < containers; i++) {
    all[i].number = i;
    boot(&all[i], controllers, words[2]);
  }
  long long start = nanoseconds();
  for (int i = 0; i < containers; i++) kill(all[i].pid, SIGKILL);
  for (int i = 0; i < containers; i++) end(&all[i], controllers);
  printf("%lld\n", nanoseconds() - start);
  for (char **name = controllers; *name != NULL; name++) {
    cgroup_path(path, sizeof path, *name, -1);
    rmdir(path);
  }
  return 0;
}
