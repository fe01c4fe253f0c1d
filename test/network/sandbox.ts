/** Network namespaces for tests: a host of its own and containers in it, so that the machine's interfaces stay untouched. */
import { closeSync, openSync } from 'node:fs'
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
