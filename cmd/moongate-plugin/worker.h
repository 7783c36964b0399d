#ifndef MOONGATE_PLUGIN_WORKER_H
#define MOONGATE_PLUGIN_WORKER_H

#include <sys/types.h>

/* What a worker loads, from the start of the keeper: nothing that comes later can change it. */
struct plugin_spec {
	char *path;  /* for dlopen */
	char **argv; /* argv[0] is the name in the configuration */
};

struct setup {
	char *version, *chroot;
	char **env;
	unsigned major, minor;
	char *patch;
	long uid, gid; /* -1: keep */
	struct plugin_spec *plugins;
	size_t count;
};

/* work serves one plugin over fd and returns an exit status. With dropped, the plugin is opened with the privileges of the
 * start and called with those of setup. */
int work(int fd, const struct setup *setup, const struct plugin_spec *spec, int dropped);

#endif
