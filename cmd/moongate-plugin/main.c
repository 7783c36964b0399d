/*
 * moongate-plugin loads OpenVPN's plugins for moongate, in processes of their own. The daemon starts it and talks to it;
 * it is of no use by hand.
 *
 * The keeper, this file, loads nothing. It learns once which plugins there are and forks a worker for each when the daemon
 * says so, again when one has died. It keeps the privileges of the start, so that a plugin can be opened with them after
 * the daemon has given its own up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wire.h"
#include "worker.h"

enum { CONTROL = 3, PATIENCE_MS = 5000 };

static int child_pipe[2];

static void child_ended(int sig)
{
	int no = errno;
	(void)sig;
	if (write(child_pipe[1], "", 1) < 0) { /* full: the keeper will look anyway */
	}
	errno = no;
}

static struct setup setup;
static pid_t *pids;   /* of the workers, 0 for none */
static int dropped;   /* the daemon has given up its privileges */

/* receive reads a control message and the descriptor that may come with it, -1 for none. */
static ssize_t receive(unsigned char *bytes, size_t room, int *fd)
{
	char space[CMSG_SPACE(sizeof(int))];
	struct iovec io = {bytes, room};
	struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
	struct cmsghdr *c;
	ssize_t n;
	*fd = -1;
	do
		n = recvmsg(CONTROL, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n >= 0 && (c = CMSG_FIRSTHDR(&m)) && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof *fd);
	return n;
}

/* learn reads what the daemon wants; it can be said once. */
static int learn(void)
{
	static unsigned char bytes[MESSAGE_MAX];
	int fd;
	ssize_t n = receive(bytes, sizeof bytes, &fd);
	struct reader r = {.at = bytes + 1, .left = n > 0 ? (size_t)n - 1 : 0};
	size_t k;
	if (n < 1 || bytes[0] != 'I' || fd >= 0)
		return -1;
	setup.version = get_string(&r);
	setup.major = get_number(&r);
	setup.minor = get_number(&r);
	setup.patch = get_string(&r);
	setup.uid = (int32_t)get_number(&r);
	setup.gid = (int32_t)get_number(&r);
	setup.chroot = get_string(&r);
	setup.env = get_list(&r);
	setup.count = get_number(&r);
	if (r.bad || setup.count > r.left / 8)
		return -1;
	setup.plugins = calloc(setup.count + 1, sizeof *setup.plugins);
	pids = calloc(setup.count + 1, sizeof *pids);
	if (!setup.plugins || !pids)
		return -1;
	for (k = 0; k < setup.count; k++) {
		setup.plugins[k].path = get_string(&r);
		setup.plugins[k].argv = get_list(&r);
	}
	return r.bad ? -1 : 0;
}

static void kill_worker(size_t k)
{
	if (pids[k] > 0 && kill(-pids[k], SIGKILL))
		kill(pids[k], SIGKILL);
}

static void start_worker(size_t k, int fd)
{
	pid_t pid = pids[k] ? -1 : fork();
	if (pid == 0) {
		sigset_t none;
		setpgid(0, 0);
		signal(SIGCHLD, SIG_DFL);
		signal(SIGPIPE, SIG_IGN);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		close(CONTROL);
		close(child_pipe[0]);
		close(child_pipe[1]);
		exit(work(fd, &setup, &setup.plugins[k], dropped));
	}
	if (pid > 0) {
		setpgid(pid, pid);
		pids[k] = pid;
	}
	close(fd);
}

/* reap tells the daemon about workers that ended. A crash takes what the plugin has forked with it. */
static void reap(void)
{
	unsigned char bytes[16];
	struct writer w;
	int status;
	pid_t pid;
	size_t k;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (k = 0; k < setup.count && pids[k] != pid; k++)
			;
		if (k == setup.count)
			continue;
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			kill_worker(k);
		pids[k] = 0;
		start(&w, bytes, sizeof bytes, 'E');
		put_number(&w, (uint32_t)k);
		put_number(&w, (uint32_t)status);
		deliver(CONTROL, &w);
	}
}

/* obey does what one control message says and returns 0, or -1 when the daemon is gone. */
static int obey(void)
{
	unsigned char bytes[16];
	int fd;
	ssize_t n = receive(bytes, sizeof bytes, &fd);
	struct reader r = {.at = bytes + 1, .left = n > 0 ? (size_t)n - 1 : 0};
	size_t k;
	if (n < 1)
		return -1;
	k = get_number(&r);
	if (bytes[0] == 'D') {
		dropped = 1;
	} else if (r.bad || k >= setup.count) {
		/* not from our daemon */
	} else if (bytes[0] == 'K') {
		kill_worker(k);
	} else if (bytes[0] == 'S' && fd >= 0) {
		start_worker(k, fd);
		fd = -1;
	}
	if (fd >= 0)
		close(fd);
	return 0;
}

/* leave gives workers, which see the daemon gone as well, time to close their plugins. */
static void leave(void)
{
	int waited;
	size_t k, left = 1;
	for (waited = 0; left && waited < PATIENCE_MS; waited += 20) {
		reap();
		for (k = left = 0; k < setup.count; k++)
			left += pids[k] != 0;
		if (left)
			usleep(20 * 1000);
	}
	for (k = 0; k < setup.count; k++)
		kill_worker(k);
}

int main(int argc, char **argv)
{
	struct sigaction on_child = {.sa_handler = child_ended, .sa_flags = SA_RESTART};
	struct pollfd polls[2] = {{.fd = CONTROL, .events = POLLIN}};
	int type;
	socklen_t size = sizeof type;
	char drain[64];
	(void)argv;
	if (argc != 1 || getsockopt(CONTROL, SOL_SOCKET, SO_TYPE, &type, &size) || type != SOCK_SEQPACKET) {
		fputs("moongate-plugin loads the plugins of moongate's configurations; the daemon starts it when a configuration names one\n", stderr);
		return 2;
	}
	fcntl(CONTROL, F_SETFD, FD_CLOEXEC);
	setpgid(0, 0); /* a signal from the terminal is for the daemon */
	if (pipe2(child_pipe, O_CLOEXEC | O_NONBLOCK) || sigaction(SIGCHLD, &on_child, NULL) || learn())
		return 1;
	polls[1].fd = child_pipe[0];
	polls[1].events = POLLIN;
	for (;;) {
		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			break;
		if (polls[1].revents) {
			while (read(child_pipe[0], drain, sizeof drain) > 0)
				;
			reap();
		}
		if (polls[0].revents && obey())
			break;
	}
	leave();
	return 0;
}
