#include "net/address.h"
#include "net/listen.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct door {
    struct loop *loop;
    struct listener *listener;
    unsigned accepted;
    unsigned wanted;
    struct listen_peer peer;
    int flags;
};

static void on_accept(void *ctx, int fd, const struct listen_peer *peer)
{
    struct door *d = ctx;
    d->peer = *peer;
    d->flags = fcntl(fd, F_GETFL);
    close(fd);
    if (++d->accepted == d->wanted)
        listener_free(&d->listener);
}

static int listen_on(const struct sockaddr *address, socklen_t len)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, address, len), 0);
    assert_int_equal(listen(fd, 64), 0);
    return fd;
}

static int connect_to(int listening)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof(at);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &len), 0);
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, len), 0);
    return fd;
}

static void all_waiting_connections_are_accepted(void **state)
{
    (void)state;
    enum { CLIENTS = 20 };
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = listen_on((struct sockaddr *)&any, sizeof(any));
    int clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = connect_to(fd);
    struct door d = {.loop = loop_new(), .wanted = CLIENTS};
    d.listener = listener_new(d.loop, fd, on_accept, &d);
    loop_run(d.loop);
    assert_int_equal(d.accepted, CLIENTS);
    assert_true(d.flags & O_NONBLOCK);
    assert_int_equal(d.peer.address.family, 4);
    assert_memory_equal(d.peer.address.bytes, ((uint8_t[]){127, 0, 0, 1}), 4);
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    assert_int_equal(getsockname(clients[CLIENTS - 1], (struct sockaddr *)&from, &len), 0);
    assert_int_equal(d.peer.port, ntohs(from.sin_port));
    for (int i = 0; i < CLIENTS; i++)
        close(clients[i]);
    loop_free(&d.loop);
    close(fd);
}

static void a_unix_socket_tells_who_the_peer_is(void **state)
{
    (void)state;
    struct sockaddr_un abstract = {.sun_family = AF_UNIX};
    int fd = listen_on((struct sockaddr *)&abstract, sizeof(sa_family_t)); /* autobind */
    int client = connect_to(fd);
    struct door d = {.loop = loop_new(), .wanted = 1};
    d.listener = listener_new(d.loop, fd, on_accept, &d);
    loop_run(d.loop);
    assert_int_equal(d.peer.address.family, 0);
    assert_int_equal(d.peer.uid, getuid());
    assert_int_equal(d.peer.pid, getpid());
    close(client);
    loop_free(&d.loop);
    close(fd);
}

static void give_back(void *ctx)
{
    const struct rlimit *before = ctx;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, before), 0);
}

static void out_of_descriptors_it_pauses_and_goes_on(void **state)
{
    (void)state;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = listen_on((struct sockaddr *)&any, sizeof(any));
    int client = connect_to(fd);
    struct door d = {.loop = loop_new(), .wanted = 1};
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    d.listener = listener_new(d.loop, fd, on_accept, &d);
    struct timer relief;
    timer_init(&relief, d.loop, give_back, &before);
    timer_set(&relief, 30 * SPAN_MS);
    struct rlimit none = {1, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    loop_run(d.loop);
    assert_int_equal(d.accepted, 1);
    close(client);
    loop_free(&d.loop);
    close(fd);
}

static void shut(void *ctx)
{
    assert_int_equal(shutdown(*(int *)ctx, SHUT_RDWR), 0);
}

static void a_socket_that_is_shut_down_is_left_alone(void **state)
{
    (void)state;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = listen_on((struct sockaddr *)&any, sizeof(any));
    struct door d = {.loop = loop_new(), .wanted = 1};
    d.listener = listener_new(d.loop, fd, on_accept, &d);
    struct timer end;
    timer_init(&end, d.loop, shut, &fd);
    timer_set(&end, SPAN_MS);
    loop_run(d.loop); /* ends: there is nothing to wait for any more */
    assert_int_equal(d.accepted, 0);
    listener_free(&d.listener);
    loop_free(&d.loop);
    close(fd);
}

static void mapped_addresses_become_ipv4(void **state)
{
    (void)state;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(587)};
    inet_pton(AF_INET6, "::ffff:192.0.2.7", &in6.sin6_addr);
    struct address a;
    uint16_t port;
    address_from_sockaddr((struct sockaddr *)&in6, &a, &port);
    assert_int_equal(a.family, 4);
    assert_int_equal(port, 587);
    assert_memory_equal(a.bytes, ((uint8_t[]){192, 0, 2, 7}), 4);

    inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr);
    address_from_sockaddr((struct sockaddr *)&in6, &a, &port);
    assert_int_equal(a.family, 6);
    struct sockaddr_storage back;
    assert_int_equal(address_to_sockaddr(&a, port, &back), sizeof(in6));
    assert_memory_equal(&back, &in6, sizeof(in6));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_waiting_connections_are_accepted),
        cmocka_unit_test(a_unix_socket_tells_who_the_peer_is),
        cmocka_unit_test(out_of_descriptors_it_pauses_and_goes_on),
        cmocka_unit_test(a_socket_that_is_shut_down_is_left_alone),
        cmocka_unit_test(mapped_addresses_become_ipv4),
    };
    return cmocka_run_group_tests_name("net/listen", tests, NULL, NULL);
}
