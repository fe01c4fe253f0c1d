/*
 * dns-latency NAME COUNT: asks the first nameserver of /etc/resolv.conf for the A records of NAME, COUNT times, one
 * question after another over UDP (RFC 1035), and prints the microseconds of each answer, one a line.
 * Exits with 1 when a question got no answer with an address.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 12, MAX_PACKET = 1500 };

static int nameserver(char *address, size_t size) {
  FILE *file = fopen("/etc/resolv.conf", "r");
  char line[512], word[64];
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "nameserver %63s", word) != 1) continue;
    snprintf(address, size, "%s", word);
    fclose(file);
    return 1;
  }
  return 0;
}

static int question(unsigned char *packet, const char *name) {
  memset(packet, 0, HEADER);
  packet[2] = 1; /* recursion desired */
  packet[5] = 1; /* one question */
  int length = HEADER;
  while (*name != 0) {
    int label = strcspn(name, ".");
    packet[length++] = label;
    memcpy(packet + length, name, label);
    length += label;
    name += label + (name[label] == '.');
  }
  memcpy(packet + length, "\0\0\1\0\1", 5); /* root, type A, class IN */
  return length + 5;
}

int main(int count, char **words) {
  char address[64];
  if (count < 3 || strlen(words[1]) > 200 || !nameserver(address, sizeof address)) return 2;
  unsigned char packet[512], answer[MAX_PACKET];
  int length = question(packet, words[1]);
  struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(53)};
  inet_pton(AF_INET, address, &server.sin_addr);
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct timeval limit = {.tv_sec = 2};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(fd, (struct sockaddr *)&server, sizeof server)) return 1;
  for (int i = 0; i < atoi(words[2]); i++) {
    struct timespec asked, answered;
    packet[0] = i >> 8;
    packet[1] = i;
    clock_gettime(CLOCK_MONOTONIC, &asked);
    if (send(fd, packet, length, 0) != length) return 1;
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    clock_gettime(CLOCK_MONOTONIC, &answered);
    if (got < HEADER || answer[1] != packet[1] || (answer[3] & 15) != 0 || (answer[6] | answer[7]) == 0) return 1;
    printf("%.1f\n", (answered.tv_sec - asked.tv_sec) * 1e6 + (answered.tv_nsec - asked.tv_nsec) / 1e3);
  }
  return 0;
}
