/** Network namespaces for tests: a host of its own and containers in it, so that the machine's interfaces stay untouched. */
import { once } from 'node:events'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { createConnection, createServer, type Server } from 'node:net'
import { Clone } from '../../src/kernel/constants.ts'
import { syscall } from '../../src/kernel/libc.ts'
import { NetlinkProtocol, openNetlinkSocket } from '../../src/kernel/netlink-socket.ts'
import type { Sandbox } from '../../src/network/network-driver.ts'

const OWN = '/proc/thread-self/ns/net'

export interface TestSandbox extends Sandbox {
  close(): void
}

/** Makes a new network namespace; the thread comes back to the one that it was in. */
export function createTestSandbox(): TestSandbox {
  const home = openSync(OWN, 'r')
  try {
    syscall('unshare', Clone.NEWNET)
    const netnsFd = openSync(OWN, 'r')
    const netlinkFd = openNetlinkSocket(NetlinkProtocol.ROUTE)
    return {
      netnsFd,
      netlinkFd,
      close: () => {
        closeSync(netlinkFd)
        closeSync(netnsFd)
      },
    }
  } finally {
    syscall('setns', home, Clone.NEWNET)
    closeSync(home)
  }
}

/** Puts the thread into a new network namespace, which plays the host, until `leave`. */
export function enterTestHost(): { readonly netnsFd: number; leave(): void } {
  const home = openSync(OWN, 'r')
  syscall('unshare', Clone.NEWNET)
  const netnsFd = openSync(OWN, 'r')
  // A new namespace inherits these from the machine, where a daemon may have turned them on.
  for (const path of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'])
    writeFileSync(`/proc/sys/net/${path}`, '0')
  return {
    netnsFd,
    leave: () => {
      syscall('setns', home, Clone.NEWNET)
      closeSync(home)
      closeSync(netnsFd)
    },
  }
}

/** Runs `work` with the thread in a namespace, and comes back. Sockets stay in the namespace that they were made in. */
export async function within<T>(netnsFd: number, work: () => T | Promise<T>): Promise<T> {
  const home = openSync(OWN, 'r')
  syscall('setns', netnsFd, Clone.NEWNET)
  try {
    return await work()
  } finally {
    syscall('setns', home, Clone.NEWNET)
    closeSync(home)
  }
}

/** A TCP server that answers each connection with `<name> <address of the client>`. */
export async function listen(netnsFd: number, port: number, name = 'hello'): Promise<Server> {
  return await within(netnsFd, async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.end(`${name} ${(socket.remoteAddress ?? '').replace('::ffff:', '')}`)
    })
    server.listen(port)
    await once(server, 'listening')
    return server
  })
}

/** What a TCP server says; rejects with `timeout` before a lost first packet is sent again, after a second. */
export async function ask(netnsFd: number, address: string, port: number): Promise<string> {
  return await within(netnsFd, async () => {
    const socket = createConnection({ host: address, port, timeout: 900 })
    socket.on('timeout', () => socket.destroy(new Error('timeout')))
    let answer = ''
    for await (const part of socket) answer += String(part)
    return answer
  })
}
