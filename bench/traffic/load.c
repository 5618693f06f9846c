/*
 * Traffic for the path bench: numbered UDP datagrams at a given rate, and many TCP flows at once. iperf3 sends
 * one datagram a system call, which at 64 bytes measures iperf3, and no more than 128 flows.
 * Compiled with `gcc -O2`; without a compiler node-load.ts stands in, with the same words and reports.
 *
 *   load udp-serve PORT                                       one line of JSON when the sender has ended
 *   load udp-send HOST PORT SECONDS LENGTH RATE [COUNT STRIDE]
 *   load tcp-serve PORT SECONDS                               SECONDS from the first byte on
 *   load tcp-send HOST PORT SECONDS FLOWS
 *
 * RATE is datagrams a second, 0 for as fast as one thread can. COUNT destinations, HOST and the addresses
 * STRIDE, 2 * STRIDE, ... after it, take turns batch by batch. Servers print "ready" on stderr.
 *
 * A datagram begins with the number of its destination and its sequence number there. One that comes after a
 * higher number of the same destination is reordered. A sender ends with empty datagrams; the server hears
 * them and waits until nothing has come for a while: what is still in queues on the way counts.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	BATCH = 64,
	DATAGRAM_MAX = 2048,
	DESTINATIONS_MAX = 65536,
	SOCKET_BUFFER = 4 << 20,
	TCP_CHUNK = 128 << 10,
	FLOWS_MAX = 16384,
	EVENTS = 256,
};

/* Shorter pauses cost more than they give: a timer fires about 50 us late in a virtual machine. */
static const long PAUSE_NS = 50 * 1000;
static const double END_INTERVAL = 0.02;
static const double END_LIMIT = 3;
static const double SILENCE = 0.1;

struct numbers {
	uint32_t destination;
	uint32_t sequence;
};

static void fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static struct sockaddr_in parse_address(const char *host, const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };

	if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
		errno = EINVAL;
		fail(host);
	}
	return address;
}

static void set_timeout(int fd, int option, double seconds)
{
	struct timeval time = { .tv_sec = (long)seconds };

	time.tv_usec = (long)((seconds - time.tv_sec) * 1e6);
	setsockopt(fd, SOL_SOCKET, option, &time, sizeof(time));
}

static void udp_serve(const char *port)
{
	static uint8_t buffers[BATCH][DATAGRAM_MAX];
	static uint32_t next[DESTINATIONS_MAX];
	struct iovec pieces[BATCH];
	struct mmsghdr messages[BATCH] = { 0 };
	struct sockaddr_in address = parse_address("0.0.0.0", port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int size = SOCKET_BUFFER;
	uint64_t received = 0, bytes = 0, reordered = 0;
	double first = 0, last = 0;
	int ended = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	set_timeout(fd, SO_RCVTIMEO, SILENCE);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("bind");
	for (int i = 0; i < BATCH; i++) {
		pieces[i] = (struct iovec){ buffers[i], DATAGRAM_MAX };
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	fprintf(stderr, "ready\n");
	for (;;) {
		int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
		double time = now();

		if (count < 0 && errno != EAGAIN && errno != EINTR)
			fail("recvmmsg");
		if (ended && time - last > SILENCE)
			break;
		for (int i = 0; i < count; i++) {
			const struct numbers *numbers = (const struct numbers *)buffers[i];

			if (messages[i].msg_len < sizeof(*numbers)) {
				if (!ended && received == 0)
					last = time;
				ended = 1;
				continue;
			}
			if (received++ == 0)
				first = time;
			last = time;
			bytes += messages[i].msg_len;
			if (numbers->destination >= DESTINATIONS_MAX)
				continue;
			if (numbers->sequence < next[numbers->destination])
				reordered++;
			else
				next[numbers->destination] = numbers->sequence + 1;
		}
	}
	printf("{\"received\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.6f,\"reordered\":%" PRIu64 "}\n",
	       received, bytes, last - first, reordered);
}

/* Until the server, which has gone when its kernel refuses; lost ends are sent again. */
static void send_ends(int fd, struct sockaddr_in *address)
{
	double until = now() + END_LIMIT;
	struct timespec pause = { .tv_nsec = (long)(END_INTERVAL * 1e9) };

	connect(fd, (struct sockaddr *)address, sizeof(*address));
	while (now() < until) {
		if (send(fd, "", 0, 0) < 0 && errno == ECONNREFUSED)
			break;
		nanosleep(&pause, NULL);
	}
}

static void udp_send(const char *host, const char *port, double seconds, int length, double rate,
		     uint32_t destinations, uint32_t stride)
{
	static uint8_t buffers[BATCH][DATAGRAM_MAX];
	static uint32_t next[DESTINATIONS_MAX];
	struct iovec pieces[BATCH];
	struct mmsghdr messages[BATCH] = { 0 };
	struct sockaddr_in base = parse_address(host, port);
	struct sockaddr_in address = base;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint64_t sent = 0;
	uint32_t destination = 0;
	double start, elapsed;

	prctl(PR_SET_TIMERSLACK, 1);
	for (int i = 0; i < BATCH; i++) {
		memset(buffers[i], 0xa5, DATAGRAM_MAX);
		pieces[i] = (struct iovec){ buffers[i], length };
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		if (destinations > 1) {
			messages[i].msg_hdr.msg_name = &address;
			messages[i].msg_hdr.msg_namelen = sizeof(address);
		}
	}
	if (destinations == 1 && connect(fd, (struct sockaddr *)&base, sizeof(base)) < 0)
		fail("connect");
	start = now();
	while ((elapsed = now() - start) < seconds) {
		double due = rate > 0 ? elapsed * rate - sent : BATCH;
		int count = due > BATCH ? BATCH : (int)due;

		if (count < 1) {
			struct timespec pause = { .tv_nsec = PAUSE_NS };

			nanosleep(&pause, NULL);
			continue;
		}
		address.sin_addr.s_addr = htonl(ntohl(base.sin_addr.s_addr) + destination * stride);
		for (int i = 0; i < count; i++) {
			struct numbers numbers = { destination, next[destination] + i };

			memcpy(buffers[i], &numbers, sizeof(numbers));
		}
		count = sendmmsg(fd, messages, count, 0);
		if (count < 0 && errno != ENOBUFS && errno != EAGAIN)
			fail("sendmmsg");
		if (count < 0)
			continue;
		next[destination] += count;
		sent += count;
		destination = (destination + 1) % destinations;
	}
	printf("{\"sent\":%" PRIu64 ",\"seconds\":%.6f}\n", sent, elapsed);
	fflush(stdout);
	send_ends(fd, &base);
}

static void raise_limit(void)
{
	struct rlimit limit = { FLOWS_MAX + 64, FLOWS_MAX + 64 };

	setrlimit(RLIMIT_NOFILE, &limit);
}

static void watch(int poll, int fd, uint32_t what)
{
	struct epoll_event event = { .events = what, .data.fd = fd };

	if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) < 0)
		fail("epoll");
}

/* Counts for SECONDS from the first byte on; leaving closes every flow. */
static void tcp_serve(const char *port, double seconds)
{
	static uint8_t chunk[TCP_CHUNK];
	static uint8_t carried[FLOWS_MAX + 64];
	struct epoll_event events[EVENTS];
	struct sockaddr_in address = parse_address("0.0.0.0", port);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int poll = epoll_create1(0);
	int one = 1;
	uint64_t bytes = 0, flows = 0;
	double first = 0, time = 0;

	raise_limit();
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("bind");
	if (listen(listener, FLOWS_MAX) < 0)
		fail("listen");
	watch(poll, listener, EPOLLIN);
	fprintf(stderr, "ready\n");
	do {
		int count = epoll_wait(poll, events, EVENTS, 100);

		time = now();
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;
			ssize_t length;

			if (fd == listener) {
				while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
					watch(poll, fd, EPOLLIN);
				continue;
			}
			length = read(fd, chunk, sizeof(chunk));
			if (length == 0 || (length < 0 && errno != EAGAIN)) {
				close(fd);
				continue;
			}
			if (length < 0)
				continue;
			if (bytes == 0)
				first = time;
			bytes += length;
			if (fd < FLOWS_MAX && !carried[fd]) {
				carried[fd] = 1;
				flows++;
			}
		}
	} while (bytes == 0 || time - first < seconds);
	printf("{\"bytes\":%" PRIu64 ",\"seconds\":%.6f,\"flows\":%" PRIu64 "}\n", bytes, time - first,
	       flows);
}

/* Sends nothing before all flows are open, so that the server's clock starts with all of them. */
static void tcp_send(const char *host, const char *port, double seconds, int flows)
{
	static uint8_t chunk[TCP_CHUNK];
	struct epoll_event events[EVENTS];
	struct sockaddr_in address = parse_address(host, port);
	/* Closing throws away what is still to be sent: no flow lives on. */
	struct linger abort = { .l_onoff = 1 };
	int poll = epoll_create1(0);
	int open = flows;
	double until;

	raise_limit();
	for (int i = 0; i < flows; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
			fail("connect");
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
		fcntl(fd, F_SETFL, O_NONBLOCK);
		watch(poll, fd, EPOLLOUT);
	}
	until = now() + seconds;
	while (open > 0 && now() < until) {
		int count = epoll_wait(poll, events, EVENTS, 100);

		for (int i = 0; i < count; i++) {
			if (send(events[i].data.fd, chunk, sizeof(chunk), MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
				close(events[i].data.fd);
				open--;
			}
		}
	}
}

int main(int count, char **words)
{
	if (count == 3 && strcmp(words[1], "udp-serve") == 0) {
		udp_serve(words[2]);
	} else if ((count == 7 || count == 9) && strcmp(words[1], "udp-send") == 0) {
		udp_send(words[2], words[3], atof(words[4]), atoi(words[5]), atof(words[6]),
			 count == 9 ? atoi(words[7]) : 1, count == 9 ? atoi(words[8]) : 0);
	} else if (count == 4 && strcmp(words[1], "tcp-serve") == 0) {
		tcp_serve(words[2], atof(words[3]));
	} else if (count == 6 && strcmp(words[1], "tcp-send") == 0) {
		tcp_send(words[2], words[3], atof(words[4]), atoi(words[5]));
	} else {
		fprintf(stderr, "usage: load udp-serve|udp-send|tcp-serve|tcp-send ...\n");
		return 64;
	}
	return 0;
}
