#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "wire.h"

static const unsigned char *take(struct reader *r, size_t n)
{
	const unsigned char *at = r->at;
	if (r->bad || n > r->left) {
		r->bad = 1;
		return NULL;
	}
	r->at += n;
	r->left -= n;
	return at;
}

static uint64_t little(struct reader *r, size_t bytes)
{
	const unsigned char *b = take(r, bytes);
	uint64_t n = 0;
	while (b && bytes-- > 0)
		n = n << 8 | b[bytes];
	return n;
}

uint32_t get_number(struct reader *r) { return (uint32_t)little(r, 4); }

uint64_t get_client(struct reader *r) { return little(r, 8); }

char *get_string(struct reader *r)
{
	uint32_t n = get_number(r);
	const unsigned char *b = take(r, n);
	char *s = calloc(1, b ? (size_t)n + 1 : 1);
	if (!s)
		abort();
	if (b)
		memcpy(s, b, n);
	return s;
}

char **get_list(struct reader *r)
{
	uint32_t k, n = get_number(r);
	char **list;
	if (n > r->left / 4) { /* every string has a length */
		r->bad = 1;
		n = 0;
	}
	if (!(list = calloc((size_t)n + 1, sizeof *list)))
		abort();
	for (k = 0; k < n; k++)
		list[k] = get_string(r);
	return list;
}

void free_list(char **list)
{
	char **s;
	for (s = list; *s; s++)
		free(*s);
	free(list);
}

static void put(struct writer *w, const void *b, size_t n)
{
	if (w->bad || n > w->room - w->size) {
		w->bad = 1;
		return;
	}
	memcpy(w->bytes + w->size, b, n);
	w->size += n;
}

void start(struct writer *w, unsigned char *bytes, size_t room, char kind)
{
	w->bytes = bytes;
	w->room = room;
	w->size = 0;
	w->bad = 0;
	put(w, &kind, 1);
}

void put_number(struct writer *w, uint32_t n)
{
	unsigned char b[4] = {n & 255, n >> 8 & 255, n >> 16 & 255, n >> 24};
	put(w, b, sizeof b);
}

void put_string(struct writer *w, const char *s)
{
	size_t n = s ? strlen(s) : 0;
	if (n > w->room)
		n = w->room + 1; /* does not fit, and put says so */
	put_number(w, (uint32_t)n);
	put(w, s, n);
}

int deliver(int fd, const struct writer *w)
{
	ssize_t n;
	if (w->bad) {
		errno = EMSGSIZE;
		return -1;
	}
	do
		n = send(fd, w->bytes, w->size, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}
