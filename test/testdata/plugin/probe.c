/*
 * A plugin for tests. Its arguments say what it intercepts and how it answers:
 *
 *   note=FILE          append every call to FILE: event, arguments, environment, context
 *   on=EVENT,EVENT…    events by number; all by default
 *   EVENT=ANSWER       what to do at an event: fail, fail-again (from a client's second such event on), defer (answered by
 *                      a child after a moment), defer-fail, defer-never,
 *                      defer-pending, defer-off, reason, hang, crash, exit, leak, config (give configuration lines)
 *   only=NAME          the answers hold for the user or common name NAME, others succeed
 *   open=fail|crash|hang
 *   point=N            the initialization point
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "interface.h"

struct plugin {
	const char *note, *only, *control, *answer[16];
	struct callbacks *callbacks;
};

static int contexts; /* made so far */

struct context {
	int number, calls, of[16]; /* in all, and of each event */
};

static const char *get(const char **env, const char *name)
{
	size_t n = strlen(name);
	for (; env && *env; env++)
		if (!strncmp(*env, name, n) && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

static void put(const char *path, const char *text)
{
	FILE *f = path ? fopen(path, "w") : NULL;
	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static void note(struct plugin *p, const char *format, ...)
{
	FILE *f = p->note ? fopen(p->note, "a") : NULL;
	va_list args;
	if (!f)
		return;
	va_start(args, format);
	vfprintf(f, format, args);
	va_end(args);
	fclose(f);
}

/* later has a child of ours write text to path after a moment. */
static void later(const char *path, const char *text)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (fork() == 0) { /* no child of the host's */
			usleep(200 * 1000);
			put(path, text);
		}
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

int openvpn_plugin_select_initialization_point_v1(void)
{
	const char *point = getenv("PROBE_POINT");
	return point ? atoi(point) : POINT_BEFORE_BACKGROUND;
}

int openvpn_plugin_min_version_required_v1(void) { return 3; }

int openvpn_plugin_open_v3(const int version, const struct open_in *in, struct open_return *out)
{
	struct plugin *p = calloc(1, sizeof *p);
	const char **arg, *value;
	char *end;
	if (version < 5)
		return RESULT_ERROR;
	p->callbacks = in->callbacks;
	out->type_mask = in->type_mask;
	for (arg = in->argv + 1; *arg; arg++) {
		if (!(value = strchr(*arg, '=')))
			continue;
		value++;
		if (!strncmp(*arg, "note=", 5)) {
			p->note = strdup(value);
		} else if (!strncmp(*arg, "only=", 5)) {
			p->only = strdup(value);
		} else if (!strcmp(*arg, "open=fail")) {
			return RESULT_ERROR;
		} else if (!strcmp(*arg, "open=crash")) {
			abort();
		} else if (!strcmp(*arg, "open=hang")) {
			for (;;)
				pause();
		} else if (!strncmp(*arg, "on=", 3)) {
			out->type_mask = 0;
			while (*value) {
				out->type_mask |= 1 << strtol(value, &end, 10);
				value = *end ? end + 1 : end;
			}
		} else {
			p->answer[atoi(*arg) & 15] = strdup(value);
		}
	}
	out->handle = p;
	note(p, "== open ssl_api=%d version=%u.%u uid=%d\n", in->ssl_api, in->major, in->minor, (int)getuid());
	for (arg = in->argv; *arg; arg++)
		note(p, "arg %s\n", *arg);
	p->callbacks->log(LOG_NOTE, "probe", "opened with %d in a format and %s", 42, "a string");
	return RESULT_SUCCESS;
}

static const char *answer(struct plugin *p, const struct func_in *in)
{
	const char *user = get(in->envp, "username"), *name = get(in->envp, "common_name");
	if (p->only && !(user && !strcmp(user, p->only)) && !(name && !strcmp(name, p->only)))
		return "";
	return p->answer[in->type] ? p->answer[in->type] : "";
}

static void lines(const struct func_in *in, struct func_return *out)
{
	if (in->argv && in->argv[0] && in->argv[1] && (in->type == EVENT_CLIENT_CONNECT || in->type == EVENT_CLIENT_CONNECT_DEFER)) {
		put(in->argv[1], "push \"echo from-file\"\n");
	} else if (out->list) {
		struct string_list *l = calloc(1, sizeof *l);
		l->name = strdup("config");
		l->value = strdup("push \"echo from-list\"\n");
		*out->list = l;
	}
}

int openvpn_plugin_func_v3(const int version, const struct func_in *in, struct func_return *out)
{
	struct plugin *p = in->handle;
	struct context *c = in->context;
	const char **s, *how = answer(p, in), *control = get(in->envp, "auth_control_file");
	(void)version;
	note(p, "== event %d context=%d call=%d uid=%d cert=%d list=%d\n", in->type, c ? c->number : 0, c ? ++c->calls : 0, (int)getuid(),
	     in->cert != NULL, out->list != NULL);
	for (s = in->argv; s && *s; s++)
		note(p, "arg %s\n", *s);
	for (s = in->envp; s && *s; s++)
		note(p, "env %s\n", *s);
	if (in->type == EVENT_CLIENT_CONNECT_DEFER || in->type == EVENT_CLIENT_CONNECT_DEFER_V2)
		control = get(in->envp, "client_connect_deferred_file");
	if (!strcmp(how, "fail"))
		return RESULT_ERROR;
	if (!strcmp(how, "fail-again") && c->of[in->type]++ > 0)
		return RESULT_ERROR;
	if (!strcmp(how, "reason")) {
		put(get(in->envp, "auth_failed_reason_file"), "no entry today");
		return RESULT_ERROR;
	}
	if (!strcmp(how, "hang"))
		for (;;)
			pause();
	if (!strcmp(how, "crash"))
		*(volatile int *)16 = 1;
	if (!strcmp(how, "exit"))
		exit(3);
	if (!strcmp(how, "leak")) { /* until there is no more, here a small limit of our own */
		struct rlimit all = {128 << 20, 128 << 20};
		char *block;
		setrlimit(RLIMIT_DATA, &all);
		while ((block = malloc(1 << 20)))
			memset(block, 1, 1 << 20);
		abort();
	}
	if (!strcmp(how, "config"))
		lines(in, out);
	if (!strcmp(how, "log")) {
		errno = ENOENT;
		p->callbacks->log(LOG_ERROR | LOG_ERRNO, "probe", "an error");
		p->callbacks->log(LOG_WARNING, "probe", "a warning");
		p->callbacks->log(LOG_NOTE, "probe", "a note");
		p->callbacks->log(LOG_DEBUG, "probe", "a debug line");
	}
	if (!strcmp(how, "defer-pending"))
		put(get(in->envp, "auth_pending_file"), "20\nopenurl\nOPEN_URL:https://example.org/");
	if (!strcmp(how, "defer-fail")) {
		put(get(in->envp, "auth_failed_reason_file"), "not this time");
		later(control, "0");
		return RESULT_DEFERRED;
	}
	if (!strcmp(how, "defer-config"))
		lines(in, out);
	if (!strcmp(how, "ask")) { /* a code, which "grant" takes */
		put(get(in->envp, "auth_pending_file"), "20\ncrtext\nCR_TEXT:R,E:Code");
		p->control = strdup(control);
		return RESULT_DEFERRED;
	}
	if (!strcmp(how, "grant"))
		put(p->control, "1");
	if (!strcmp(how, "defer-never"))
		return RESULT_DEFERRED;
	if (!strncmp(how, "defer", 5)) {
		later(control, "1");
		return RESULT_DEFERRED;
	}
	return RESULT_SUCCESS;
}

void *openvpn_plugin_client_constructor_v1(void *handle)
{
	struct context *c = calloc(1, sizeof *c);
	c->number = ++contexts;
	note(handle, "== constructor %d\n", c->number);
	return c;
}

void openvpn_plugin_client_destructor_v1(void *handle, void *context)
{
	note(handle, "== destructor %d calls=%d\n", ((struct context *)context)->number, ((struct context *)context)->calls);
	free(context);
}

void openvpn_plugin_close_v1(void *handle) { note(handle, "== close uid=%d\n", (int)getuid()); }

void openvpn_plugin_abort_v1(void *handle) { note(handle, "== abort\n"); }
