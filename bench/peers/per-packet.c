/*
 * A GRE daemon as it is usually written: one read and one send a packet, one thread a direction.
 * The path bench compiles it with `gcc -O2` and runs it beside grebe, to have something to compare with.
 * It is a comparison peer only: nothing of grebe uses it, and no user needs a compiler.
 *
 *   per-packet DEVICE LOCAL REMOTE
 *
 *   TUN -> read -> GRE header in front -> send     thread 1 (the kernel adds the outer IPv4 header)
 *   recv -> outer IPv4 and GRE off     -> write    thread 2
 *
 * Plain GRE (RFC 2784) without key, checksum or sequence; IPv4 and IPv6 inside. It makes the device and
 * leaves its addresses to the caller. Prints "ready" on stderr and runs until it is killed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GRE_LENGTH = 4, PACKET_MAX = 65536, SOCKET_BUFFER = 8 << 20 };

static int tun;
static int underlay;

static void fail(const char *what)
{
	fprintf(stderr, "per-packet: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_tun(const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR);

	if (fd < 0)
		fail("/dev/net/tun");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		fail(name);
	return fd;
}

static struct sockaddr_in parse_address(const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, text, &address.sin_addr) != 1) {
		errno = EINVAL;
		fail(text);
	}
	return address;
}

/* Connected: the kernel looks the route up once, and only the peer's packets come in. */
static int open_underlay(const char *local, const char *remote)
{
	struct sockaddr_in from = parse_address(local);
	struct sockaddr_in to = parse_address(remote);
	int size = SOCKET_BUFFER;
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_GRE);

	if (fd < 0)
		fail("raw socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0)
		fail(local);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail(remote);
	return fd;
}

static void *encap(void *unused)
{
	static uint8_t packet[GRE_LENGTH + PACKET_MAX];

	for (;;) {
		ssize_t length = read(tun, packet + GRE_LENGTH, PACKET_MAX);

		if (length <= 0)
			continue;
		packet[0] = packet[1] = 0;
		packet[2] = packet[GRE_LENGTH] >> 4 == 6 ? 0x86 : 0x08;
		packet[3] = packet[GRE_LENGTH] >> 4 == 6 ? 0xdd : 0x00;
		if (send(underlay, packet, GRE_LENGTH + length, 0) < 0)
			continue; /* lost, as on any link */
	}
	return unused;
}

static void *decap(void *unused)
{
	static uint8_t packet[PACKET_MAX];

	for (;;) {
		ssize_t length = recv(underlay, packet, sizeof(packet), 0);
		ssize_t inner = (packet[0] & 15) * 4 + GRE_LENGTH;
		const uint8_t *gre = packet + inner - GRE_LENGTH;

		if (length <= inner || gre[0] != 0 || gre[1] != 0)
			continue;
		if (write(tun, packet + inner, length - inner) < 0)
			continue;
	}
	return unused;
}

int main(int count, char **words)
{
	pthread_t thread;

	if (count != 4) {
		fprintf(stderr, "usage: per-packet DEVICE LOCAL REMOTE\n");
		return 64;
	}
	tun = open_tun(words[1]);
	underlay = open_underlay(words[2], words[3]);
	if (pthread_create(&thread, NULL, encap, NULL) != 0)
		fail("thread");
	fprintf(stderr, "ready\n");
	decap(NULL);
	return 0;
}
