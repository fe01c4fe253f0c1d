/**
 * What the kernel tells of changes that somebody makes to the host's network: interfaces and addresses by rtnetlink,
 * rules by nf_tables. So a removed interface is known within milliseconds, and nobody has to look for it again and again.
 */
import { closeSync } from 'node:fs'
import {
  joinNetlinkGroups,
  NetlinkProtocol,
  openNetlinkSocket,
  prepareNetlinkSocket,
  receiveNetlinkAtHand,
} from '../kernel/netlink-socket.ts'
import { watchReadable } from '../kernel/poll.ts'
import { TABLE } from './firewall/ruleset.ts'
import { readAttributes, readText } from './netlink/attributes.ts'
import { decodeNotifications, type NetlinkNotification } from './netlink/messages.ts'
import { decodeLink } from './rtnetlink/link-messages.ts'

/** Bursts of a whole stack that comes up must fit. */
const BUFFER_BYTES = 4 << 20
/** Datagrams that are read before other work has its turn: each start of a container makes a dozen. */
const MAX_AT_ONCE = 256

// include/uapi/linux/rtnetlink.h: enum rtnetlink_groups, RTM_…
const RTNLGRP_LINK = 1
const RTNLGRP_IPV4_IFADDR = 5
const RTNLGRP_IPV6_IFADDR = 9
const RTM_NEWLINK = 16
const RTM_DELLINK = 17
const RTM_DELADDR = 21

// include/uapi/linux/netfilter/nfnetlink.h and nf_tables.h
const NFNLGRP_NFTABLES = 7
const NFNL_SUBSYS_NFTABLES = 10
const NFGENMSG_BYTES = 4
/** The name of the table is the first attribute of every kind of message. */
const NFTA_TABLE = 1
const CHANGES: ReadonlyMap<number, string> = new Map([
  [2, 'table deleted'],
  [3, 'chain added'],
  [5, 'chain deleted'],
  [6, 'rule added'],
  [8, 'rule deleted'],
  [9, 'set added'],
  [11, 'set deleted'],
  [12, 'element added'],
  [14, 'element deleted'],
])

export interface NotificationListener {
  /** An interface went, went down, or changed: its name. */
  readonly onLink: (name: string) => void
  /** An interface lost an address: its index. */
  readonly onAddress: (interfaceIndex: number) => void
  /** Somebody else changed our table: what, in words. */
  readonly onFirewall: (change: string) => void
  /** Notifications were lost: anything may have changed. */
  readonly onOverrun: () => void
}

/**
 * Listens in the network namespace of the calling thread.
 * @param firewallPort of the socket whose changes of the firewall are our own; asked each time, since it has none at first
 * @returns closes the sockets
 * @throws {SYSCALL_FAILED}
 */
export function watchKernelNetwork(
  listener: NotificationListener,
  firewallPort: () => number,
): { close(): void } {
  const routes = subscribe(
    NetlinkProtocol.ROUTE,
    [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR],
    (notification) => {
      tellRoute(notification, listener)
    },
    listener.onOverrun,
  )
  const rules = subscribe(
    NetlinkProtocol.NETFILTER,
    [NFNLGRP_NFTABLES],
    (notification) => {
      tellFirewall(notification, listener, firewallPort())
    },
    listener.onOverrun,
  )
  return {
    close() {
      routes.close()
      rules.close()
    },
  }
}

function tellRoute({ type, body }: NetlinkNotification, listener: NotificationListener): void {
  if (type === RTM_NEWLINK || type === RTM_DELLINK) listener.onLink(decodeLink(body).name)
  else if (type === RTM_DELADDR) listener.onAddress(body.readUInt32LE(4))
}

function tellFirewall(
  { type, port, body }: NetlinkNotification,
  listener: NotificationListener,
  ownPort: number,
): void {
  if (type >> 8 !== NFNL_SUBSYS_NFTABLES || port === ownPort) return
  const change = CHANGES.get(type & 0xff)
  if (change === undefined) return
  const table = readText(readAttributes(body.subarray(NFGENMSG_BYTES)).get(NFTA_TABLE))
  if (body.readUInt8(0) === TABLE.family && table === TABLE.name) listener.onFirewall(change)
}

function subscribe(
  protocol: number,
  groups: readonly number[],
  onNotification: (notification: NetlinkNotification) => void,
  onOverrun: () => void,
): { close(): void } {
  const fd = openNetlinkSocket(protocol)
  prepareNetlinkSocket(fd, BUFFER_BYTES)
  joinNetlinkGroups(fd, groups)
  const watch = watchReadable(fd, () => {
    try {
      for (let count = 0; count < MAX_AT_ONCE; count++) {
        const datagram = receiveNetlinkAtHand(fd)
        if (datagram === undefined) return
        for (const notification of decodeNotifications(datagram)) onNotification(notification)
      }
    } catch {
      onOverrun() // ENOBUFS, or a datagram that is larger than what we receive
    }
  })
  let open = true
  return {
    close() {
      if (!open) return
      open = false
      watch.close()
      closeSync(fd)
    },
  }
}
