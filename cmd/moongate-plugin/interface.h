/*
 * The interface of OpenVPN's plugins as this helper speaks it: version 3, structure version 5, natural alignment.
 * The names are our own; layouts and numbers are facts of the interface (docs/plugins.md).
 */
#ifndef MOONGATE_PLUGIN_INTERFACE_H
#define MOONGATE_PLUGIN_INTERFACE_H

#include <stdarg.h>
#include <stddef.h>

enum { STRUCT_VERSION = 5, INTERFACE_VERSION = 3 };

/* Events; bit n of a mask stands for event n. */
enum event {
	EVENT_UP = 0,
	EVENT_DOWN = 1,
	EVENT_ROUTE_UP = 2,
	EVENT_IPCHANGE = 3,
	EVENT_TLS_VERIFY = 4,
	EVENT_AUTH_USER_PASS_VERIFY = 5,
	EVENT_CLIENT_CONNECT = 6,
	EVENT_CLIENT_DISCONNECT = 7,
	EVENT_LEARN_ADDRESS = 8,
	EVENT_CLIENT_CONNECT_V2 = 9,
	EVENT_TLS_FINAL = 10,
	EVENT_ROUTE_PREDOWN = 12,
	EVENT_CLIENT_CONNECT_DEFER = 13,
	EVENT_CLIENT_CONNECT_DEFER_V2 = 14,
	EVENT_CLIENT_CRRESPONSE = 15,
};

enum result { RESULT_SUCCESS = 0, RESULT_ERROR = 1, RESULT_DEFERRED = 2 };

/* When a plugin wants to be opened. One that does not say is opened at 2. */
enum { POINT_BEFORE_OPTIONS = 1, POINT_BEFORE_BACKGROUND = 2, POINT_AFTER_BACKGROUND = 3, POINT_AFTER_USER = 4 };

/* Flags of a log line. */
enum { LOG_ERROR = 1, LOG_WARNING = 2, LOG_NOTE = 4, LOG_DEBUG = 8, LOG_ERRNO = 256, LOG_NEVER_MUTED = 512 };

/* A list of named strings that a plugin allocates and the host frees. */
struct string_list {
	struct string_list *next;
	char *name;
	char *value;
};

struct callbacks {
	void (*log)(int flags, const char *name, const char *format, ...);
	void (*vlog)(int flags, const char *name, const char *format, va_list args);
	void (*memzero)(void *at, size_t size);
	int (*base64_encode)(const void *data, int size, char **text);
	int (*base64_decode)(const char *text, void *data, int size);
};

struct open_in {
	int type_mask;
	const char **argv;
	const char **envp;
	struct callbacks *callbacks;
	int ssl_api; /* 0: no certificate structures */
	const char *version;
	unsigned major, minor;
	const char *patch;
};

struct open_return {
	int type_mask;
	void *handle;
	struct string_list **list;
};

struct func_in {
	int type;
	const char **argv;
	const char **envp;
	void *handle;
	void *context;
	int cert_depth;
	void *cert; /* always NULL under ssl_api 0 */
};

struct func_return {
	struct string_list **list;
};

#endif
