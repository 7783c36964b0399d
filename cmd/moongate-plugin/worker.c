/*
 * A worker: one plugin in a process with one thread. It answers one message after the other; what the plugin logs, also
 * from processes that it forks, goes to the daemon as messages in between.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interface.h"
#include "wire.h"
#include "worker.h"

typedef int open_v3(int, const struct open_in *, struct open_return *);
typedef int func_v3(int, const struct func_in *, struct func_return *);
typedef void *open_v2(unsigned *, const char **, const char **, struct string_list **);
typedef int func_v2(void *, int, const char **, const char **, void *, struct string_list **);
typedef void *open_v1(unsigned *, const char **, const char **);
typedef int func_v1(void *, int, const char **, const char **);
typedef void end_v1(void *);
typedef void *constructor_v1(void *);
typedef void destructor_v1(void *, void *);
typedef int plain_v1(void);

/* A client of the daemon and what the plugin keeps for it. */
struct client {
	struct client *next;
	uint64_t id;
	void *context;
};

static struct {
	int fd;
	struct stat socket;
	const struct setup *setup;
	const struct plugin_spec *spec;
	uint32_t point;
	void *handle;
	int open, dropped;
	open_v3 *open3;
	func_v3 *func3;
	open_v2 *open2;
	func_v2 *func2;
	open_v1 *open1;
	func_v1 *func1;
	end_v1 *close, *abort;
	constructor_v1 *constructor;
	destructor_v1 *destructor;
	struct client *clients;
	unsigned char out[MESSAGE_MAX];
} the;

enum { TEXT_MAX = 4096, HIGH_FD = 512 };

/* settle puts the socket where processes that the plugin forks do not close it: auth-pam's closes the low descriptors. */
static void settle(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
	if (high >= 0) {
		close(fd);
		fd = high;
	}
	the.fd = fd;
	fstat(fd, &the.socket);
}

/* connected reports whether the descriptor is still the socket, and nothing that a forked process opened in its place. */
static int connected(void)
{
	struct stat now;
	return !fstat(the.fd, &now) && now.st_dev == the.socket.st_dev && now.st_ino == the.socket.st_ino;
}

static void log_va(int flags, const char *name, const char *format, va_list args)
{
	int no = errno;
	char text[TEXT_MAX];
	unsigned char bytes[2 * TEXT_MAX];
	struct writer w;
	int n = vsnprintf(text, sizeof text, format, args);
	if (n < 0)
		return;
	if (flags & LOG_ERRNO && (size_t)n < sizeof text)
		snprintf(text + n, sizeof text - (size_t)n, ": %s (errno=%d)", strerror(no), no);
	start(&w, bytes, sizeof bytes, 'L');
	put_number(&w, (uint32_t)flags);
	put_string(&w, name);
	put_string(&w, text);
	if (!connected() || deliver(the.fd, &w))
		fprintf(stderr, "PLUGIN %s: %s\n", name, text);
	errno = no;
}

static void log_line(int flags, const char *name, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	log_va(flags, name, format, args);
	va_end(args);
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int encode(const void *data, int size, char **text)
{
	const unsigned char *b = data;
	char *out;
	int k, n = 0;
	if (size < 0 || size > 1 << 28 || !(out = malloc((size_t)size / 3 * 4 + 5)))
		return -1;
	for (k = 0; k < size; k += 3) {
		int have = size - k < 3 ? size - k : 3, j;
		unsigned v = (unsigned)b[k] << 16 | (have > 1 ? (unsigned)b[k + 1] << 8 : 0) | (have > 2 ? b[k + 2] : 0u);
		for (j = 0; j < 4; j++)
			out[n++] = j <= have ? digits[v >> (18 - 6 * j) & 63] : '=';
	}
	out[n] = 0;
	*text = out;
	return n;
}

static int decode(const char *text, void *data, int size)
{
	unsigned char *b = data;
	unsigned v = 0;
	int bits = 0, n = 0;
	const char *d;
	for (; *text && *text != '='; text++) {
		if (!(d = strchr(digits, *text)))
			return -1;
		v = v << 6 | (unsigned)(d - digits);
		if ((bits += 6) < 8)
			continue;
		bits -= 8;
		if (n >= size)
			return -1;
		b[n++] = v >> bits & 255;
	}
	return n;
}

static struct callbacks callbacks = {log_line, log_va, explicit_bzero, encode, decode};

/* reply sends a result, with what the plugin put into a list. */
static int reply(int status, struct string_list *list)
{
	struct writer w;
	struct string_list *l, *next;
	uint32_t n = 0;
	start(&w, the.out, sizeof the.out, 'R');
	put_number(&w, (uint32_t)status);
	for (l = list; l; l = l->next)
		n += 2;
	put_number(&w, n);
	for (l = list; l; l = next) {
		next = l->next;
		put_string(&w, l->name);
		put_string(&w, l->value);
		free(l->name);
		free(l->value);
		free(l);
	}
	if (w.bad) { /* more than a message holds */
		start(&w, the.out, sizeof the.out, 'R');
		put_number(&w, RESULT_ERROR);
		put_number(&w, 0);
	}
	return deliver(the.fd, &w);
}

static int complain(const char *text)
{
	struct writer w;
	start(&w, the.out, sizeof the.out, 'E');
	put_string(&w, text);
	return deliver(the.fd, &w);
}

/* load finds the plugin's functions and says hello with its initialization point, or why not. */
static int load(void)
{
	struct writer w;
	plain_v1 *point, *needs;
	/* A plugin brings symbols of the program that it was made for into no other plugin. */
	void *so = dlopen(the.spec->path, RTLD_NOW);
	if (!so) {
		const char *why = dlerror();
		complain(why ? why : "unknown error");
		return -1;
	}
#define FIND(at, name) (*(void **)(&(at)) = dlsym(so, "openvpn_plugin_" name))
	FIND(the.open3, "open_v3");
	FIND(the.func3, "func_v3");
	FIND(the.open2, "open_v2");
	FIND(the.func2, "func_v2");
	FIND(the.open1, "open_v1");
	FIND(the.func1, "func_v1");
	FIND(the.close, "close_v1");
	FIND(the.abort, "abort_v1");
	FIND(the.constructor, "client_constructor_v1");
	FIND(the.destructor, "client_destructor_v1");
	FIND(point, "select_initialization_point_v1");
	FIND(needs, "min_version_required_v1");
	/* The newest of either counts: auth-pam has open_v3 and func_v1. */
	if (!(the.open3 || the.open2 || the.open1) || !(the.func3 || the.func2 || the.func1) || !the.close) {
		complain("it has no openvpn_plugin_open, _func and _close functions");
		return -1;
	}
	if (needs && needs() > INTERFACE_VERSION) {
		complain("it needs a newer version of the plugin interface than 3");
		return -1;
	}
	start(&w, the.out, sizeof the.out, 'H');
	the.point = point ? (uint32_t)point() : POINT_BEFORE_BACKGROUND;
	put_number(&w, the.point);
	return deliver(the.fd, &w);
}

static int open_plugin(uint32_t offered)
{
	const char **argv = (const char **)the.spec->argv, **envp = (const char **)the.setup->env;
	struct string_list *list = NULL;
	struct writer w;
	unsigned mask = 0;
	int status = RESULT_SUCCESS;
	if (the.open3) {
		struct open_in in = {
			.type_mask = (int)offered, .argv = argv, .envp = envp, .callbacks = &callbacks, .version = the.setup->version,
			.major = the.setup->major, .minor = the.setup->minor, .patch = the.setup->patch,
		};
		struct open_return out = {.list = &list};
		status = the.open3(STRUCT_VERSION, &in, &out);
		the.handle = out.handle;
		mask = (unsigned)out.type_mask;
	} else {
		the.handle = the.open2 ? the.open2(&mask, argv, envp, &list) : the.open1(&mask, argv, envp);
		if (!the.handle)
			status = RESULT_ERROR;
	}
	the.open = status == RESULT_SUCCESS;
	start(&w, the.out, sizeof the.out, 'O');
	put_number(&w, (uint32_t)status);
	put_number(&w, mask);
	return deliver(the.fd, &w);
}

/* drop gives up what the daemon gives up, and cannot be taken back. */
static int drop(void)
{
	const struct setup *s = the.setup;
	if (the.dropped)
		return 0;
	the.dropped = 1;
	if (*s->chroot && (chroot(s->chroot) || chdir("/")))
		return -1;
	if (s->gid >= 0 && (setgid((gid_t)s->gid) || setgroups(0, NULL)))
		return -1;
	if (s->uid >= 0 && setuid((uid_t)s->uid))
		return -1;
	return 0;
}

/* context is what the plugin keeps for a client, made when the client is new. Client 0 is the daemon itself. */
static void *context(uint64_t id)
{
	struct client *c;
	if (!the.constructor)
		return NULL;
	for (c = the.clients; c; c = c->next)
		if (c->id == id)
			return c->context;
	if (!(c = calloc(1, sizeof *c)))
		abort();
	c->id = id;
	c->context = the.constructor(the.handle);
	c->next = the.clients;
	the.clients = c;
	return c->context;
}

static void forget(uint64_t id)
{
	struct client **at, *c;
	for (at = &the.clients; (c = *at); at = &c->next) {
		if (c->id != id)
			continue;
		*at = c->next;
		if (the.destructor && c->context)
			the.destructor(the.handle, c->context);
		free(c);
		return;
	}
}

static int call(struct reader *r)
{
	uint32_t event = get_number(r), depth = get_number(r), wants_list = get_number(r);
	uint64_t id = get_client(r);
	char **argv = get_list(r), **envp = get_list(r);
	struct string_list *list = NULL, **into = wants_list ? &list : NULL;
	int status = RESULT_ERROR;
	if (!r->bad && the.open) {
		struct func_in in = {
			.type = (int)event, .argv = (const char **)argv, .envp = (const char **)envp, .handle = the.handle, .context = context(id),
			.cert_depth = (int)depth,
		};
		struct func_return out = {.list = into};
		if (the.func3)
			status = the.func3(STRUCT_VERSION, &in, &out);
		else if (the.func2)
			status = the.func2(the.handle, in.type, in.argv, in.envp, in.context, into);
		else
			status = the.func1(the.handle, in.type, in.argv, in.envp);
	}
	if (!r->bad)
		free_list(argv), free_list(envp);
	return r->bad ? -1 : reply(status, list);
}

static void finish(int clean)
{
	if (!the.open)
		return;
	while (the.clients && clean)
		forget(the.clients->id);
	if (clean)
		the.close(the.handle);
	else if (the.abort)
		the.abort(the.handle);
	the.open = 0;
}

/* expendable has the system end this process first, and not the daemon, when a plugin eats up the memory. */
static void expendable(void)
{
	FILE *f = fopen("/proc/self/oom_score_adj", "w");
	if (f) {
		fputs("500", f);
		fclose(f);
	}
}

int work(int fd, const struct setup *setup, const struct plugin_spec *spec, int dropped)
{
	static unsigned char in[MESSAGE_MAX];
	expendable();
	settle(fd);
	the.setup = setup;
	the.spec = spec;
	if (load())
		return 1;
	for (;;) {
		ssize_t n = recv(the.fd, in, sizeof in, 0);
		struct reader r = {.at = in + 1, .left = n > 0 ? (size_t)n - 1 : 0};
		int failed = 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* the daemon is gone */
		switch (in[0]) {
		case 'O':
			failed = dropped && the.point == POINT_AFTER_USER && drop();
			failed = failed || open_plugin(get_number(&r)) || (dropped && drop());
			break;
		case 'D':
			failed = drop() || reply(RESULT_SUCCESS, NULL);
			break;
		case 'C':
			failed = call(&r);
			break;
		case 'F':
			forget(get_client(&r));
			failed = reply(RESULT_SUCCESS, NULL);
			break;
		case 'A':
			finish(0);
			return 0;
		case 'X':
			finish(1);
			reply(RESULT_SUCCESS, NULL);
			return 0;
		default:
			failed = 1;
		}
		explicit_bzero(in, (size_t)n); /* passwords */
		if (failed)
			return 1;
	}
	finish(1);
	return 0;
}
