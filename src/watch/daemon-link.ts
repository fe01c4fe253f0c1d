/** The open request by which the daemon knows that somebody watches; made again when the daemon comes back. */
import { setTimeout } from 'node:timers/promises'
import type { Client } from '../client/client.ts'

const RETRY_MS = 250

export interface DaemonLinkOptions {
  readonly client: Pick<Client, 'openWatch'>
  readonly stack: string
  /** The daemon was away: it knows nothing of what was synced before. */
  readonly onReturn: () => Promise<void>
  readonly say: (line: string) => void
}

export interface DaemonLink {
  /** Safe to call twice. */
  close(): Promise<void>
}

/** Resolves when the daemon knows. @throws what the first request fails with */
export async function openDaemonLink(options: DaemonLinkOptions): Promise<DaemonLink> {
  const leaving = new AbortController()
  const first = await connect(options, leaving.signal)
  const following = follow(options, first, leaving.signal)
  return {
    async close() {
      leaving.abort()
      await following
    },
  }
}

type Link = ReturnType<Client['openWatch']>

async function connect({ client, stack }: DaemonLinkOptions, signal: AbortSignal): Promise<Link> {
  const link = client.openWatch(stack, signal)
  await link.next()
  return link
}

async function follow(options: DaemonLinkOptions, first: Link, signal: AbortSignal): Promise<void> {
  let link: Link | undefined = first
  const isLeaving = (): boolean => signal.aborted
  while (!isLeaving()) {
    // There is nothing more to come: whatever ends this, the daemon is not there any more.
    await link?.next().catch(() => undefined)
    if (isLeaving()) return
    if (link !== undefined) options.say('the daemon is away; waiting for it')
    await setTimeout(RETRY_MS)
    link = await connect(options, signal).catch(() => undefined)
    if (link === undefined) continue
    options.say('the daemon is back')
    await options.onReturn()
  }
}
