/** One random command of one client. Clients don't know of each other: what one brings up another takes down. */
import { TsstackError } from '../../../src/errors.ts'
import { collect, upRequest, type DaemonFixture } from '../../daemon-fixture.ts'
import type { Random } from '../chaos/random.ts'
import { randomVariant } from '../chaos/variants.ts'

const STACKS = ['soak-a', 'soak-b', 'soak-c', 'soak-d'] as const
const ACTIONS = ['stop', 'start', 'restart', 'kill', 'pause', 'unpause'] as const
/** How long a follower listens before it hangs up, in ms. */
const FOLLOW_MS = 300

/** What the commands of the others explain: it is not there any more, it is there already, it does not run, it failed. */
const EXPECTED = new Set(['NOT_FOUND', 'ALREADY_EXISTS', 'FAILED_PRECONDITION', 'CANCELLED'])

type Perform = (daemon: DaemonFixture, random: Random, stack: string) => Promise<unknown>

const COMMANDS: Readonly<Record<string, { readonly weight: number; readonly perform: Perform }>> = {
  up: {
    weight: 30,
    perform: (daemon, random, stack) =>
      daemon.up(stack, randomVariant(random, stack), { timeoutSeconds: 1 }),
  },
  plan: {
    weight: 5,
    perform: (daemon, random, stack) =>
      daemon.client.plan(stack, upRequest(stack, randomVariant(random, stack))),
  },
  down: {
    weight: 8,
    perform: (daemon, random, stack) =>
      daemon.down(stack, { volumes: random.chance(0.5), removeOrphans: true, timeoutSeconds: 1 }),
  },
  lifecycle: {
    weight: 20,
    perform: (daemon, random, stack) => {
      const request = { action: random.pick(ACTIONS), timeoutSeconds: 1 }
      return collect(daemon.client.lifecycle(stack, request))
    },
  },
  exec: { weight: 15, perform: execSomewhere },
  logs: {
    weight: 8,
    perform: (daemon, random, stack) =>
      listen((signal) =>
        daemon.client.logs(stack, { follow: random.chance(0.5), tail: '50' }, signal),
      ),
  },
  events: {
    weight: 4,
    perform: (daemon, _random, stack) =>
      listen((signal) => daemon.client.events({ stack, follow: true }, signal)),
  },
  stats: {
    weight: 4,
    perform: (daemon, _random, stack) =>
      listen((signal) => daemon.client.stats({ stack, stream: true }, signal)),
  },
  look: {
    weight: 6,
    perform: async ({ client }, _random, stack) => {
      await client.containers({ stack, all: true })
      await client.volumes(stack, { sizes: true })
      await client.networks(stack)
      await client.images()
    },
  },
}

/**
 * @returns the name of the command that was done
 * @throws {Error} for a failure that other clients don't explain
 */
export async function performCommand(daemon: DaemonFixture, random: Random): Promise<string> {
  const name = chooseCommand(random)
  try {
    await COMMANDS[name]?.perform(daemon, random, random.pick(STACKS))
  } catch (error) {
    if (!(error instanceof TsstackError && EXPECTED.has(error.code)))
      throw new Error(`${name}: ${String(error)}`, { cause: error })
  }
  return name
}

export async function removeStacks(daemon: DaemonFixture): Promise<void> {
  for (const stack of STACKS)
    await daemon.down(stack, { volumes: true, removeOrphans: true, timeoutSeconds: 1 })
}

function chooseCommand(random: Random): string {
  const entries = Object.entries(COMMANDS)
  let rest = random.next() * entries.reduce((sum, [, { weight }]) => sum + weight, 0)
  for (const [name, { weight }] of entries) {
    rest -= weight
    if (rest < 0) return name
  }
  return 'look'
}

async function execSomewhere(daemon: DaemonFixture, random: Random, stack: string): Promise<void> {
  const running = (await daemon.client.containers({ stack })).filter(
    ({ state }) => state === 'running',
  )
  const chosen = running[random.integer(Math.max(running.length, 1))]
  if (chosen === undefined) return
  await daemon.exec(chosen.id, ['sh', '-c', 'echo out; echo err >&2; cat'], {
    stdin: true,
    input: 'x'.repeat(random.integer(100_000)),
  })
}

/** Listens for a while and hangs up, as somebody who closes the terminal. */
async function listen<T>(
  open: (signal: AbortSignal) => AsyncIterable<readonly T[]>,
): Promise<void> {
  const hangUp = new AbortController()
  const timer = setTimeout(() => {
    hangUp.abort()
  }, FOLLOW_MS)
  try {
    await collect(open(hangUp.signal))
  } catch (error) {
    if (!hangUp.signal.aborted) throw error
  } finally {
    clearTimeout(timer)
  }
}
