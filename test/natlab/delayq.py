#!/usr/bin/env python3
"""delayq QUEUE MS: holds every packet of a netfilter queue for MS milliseconds. Packets stay in the kernel; only their numbers come here."""
import heapq
import select
import socket
import struct
import sys
import time

queue, delay_s = int(sys.argv[1]), float(sys.argv[2]) / 1000
NETLINK_NETFILTER, SOL_NETLINK, NETLINK_NO_ENOBUFS, SO_RCVBUFFORCE = 12, 270, 5, 33
SUBSYSTEM, PACKET, VERDICT, CONFIG = 3 << 8, 0, 1, 2  # linux/netfilter/nfnetlink_queue.h
ACCEPT = 1

netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
netlink.bind((0, 0))
netlink.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
netlink.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)


def attribute(kind, data):
    return struct.pack('=HH', len(data) + 4, kind) + data + b'\0' * (-len(data) % 4)


def send(kind, *attributes):
    body = struct.pack('>BBH', 0, 0, queue) + b''.join(attributes)
    netlink.send(struct.pack('=IHHII', 16 + len(body), SUBSYSTEM | kind, 1, 0, 0) + body)


def packet_numbers(data):
    """The number of each packet that a datagram of the kernel announces."""
    at = 0
    while at + 16 <= len(data):
        size, kind = struct.unpack_from('=IH', data, at)
        place, end = at + 20, at + size
        while kind == SUBSYSTEM | PACKET and place + 4 <= end:
            length, name = struct.unpack_from('=HH', data, place)
            if name & 0x7FFF == 1:  # NFQA_PACKET_HDR
                yield struct.unpack_from('>I', data, place + 4)[0]
                break
            place += (length + 3) & ~3
        at += (size + 3) & ~3


send(CONFIG, attribute(1, struct.pack('>BBH', 1, 0, 0)))  # bind
send(CONFIG, attribute(2, struct.pack('>IB', 0, 1)))  # no more than the packets' numbers
send(CONFIG, attribute(3, struct.pack('>I', 65_535)))  # packets that may wait
send(CONFIG, attribute(4, struct.pack('>I', 4)), attribute(5, struct.pack('>I', 4)))  # large segments stay whole
print('ready', flush=True)
waiting = []
while True:
    timeout = max(0, waiting[0][0] - time.monotonic()) if waiting else None
    if select.select([netlink], [], [], timeout)[0]:
        due = time.monotonic() + delay_s
        for number in packet_numbers(netlink.recv(1 << 16)):
            heapq.heappush(waiting, (due, number))
    now = time.monotonic()
    while waiting and waiting[0][0] <= now:
        send(VERDICT, attribute(2, struct.pack('>II', ACCEPT, heapq.heappop(waiting)[1])))
