/*
 * Messages between the daemon, the keeper and its workers: one packet of a SOCK_SEQPACKET socket each. A message is a
 * letter and fields; a number is 4 bytes, a client 8 (little endian), a string its length as a number and its bytes, a list
 * its length as a number and its strings. daemon/plugin/message.go is the other side.
 */
#ifndef MOONGATE_PLUGIN_WIRE_H
#define MOONGATE_PLUGIN_WIRE_H

#include <stddef.h>
#include <stdint.h>

enum { MESSAGE_MAX = 160 * 1024 };

/* A message being read. After a field that is not there, bad is set and every further field is empty. */
struct reader {
	unsigned char *at;
	size_t left;
	int bad;
};

uint32_t get_number(struct reader *r);
uint64_t get_client(struct reader *r);
/* get_string returns a string of malloc. */
char *get_string(struct reader *r);
/* get_list returns strings and a NULL; free it with free_list. */
char **get_list(struct reader *r);
void free_list(char **list);

/* A message being written. What does not fit sets bad. */
struct writer {
	unsigned char *bytes;
	size_t size, room;
	int bad;
};

void start(struct writer *w, unsigned char *bytes, size_t room, char kind);
void put_number(struct writer *w, uint32_t n);
void put_string(struct writer *w, const char *s);

/* deliver sends a message and returns 0, or -1. */
int deliver(int fd, const struct writer *w);

#endif
