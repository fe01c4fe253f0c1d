/**
 * The daemon's client as the global flags want it. With `--dry-run` the daemon tells what `up`, `down` and their like
 * would do; of all other calls only those that are known to change nothing get through, so that a new one can't slip
 * past.
 */
import type { RequestManner } from '../api/request-manner.ts'
import type { ProgressEvent } from '../api/types.ts'
import type { Client } from '../client/client.ts'
import { TsstackError } from '../errors.ts'
import { DRY_RUN_PREFIX } from './progress-view.ts'

/** Calls that change nothing. */
const READING = [
  'version',
  'doctor',
  'stacks',
  'status',
  'revisions',
  'revisionDiff',
  'plan',
  'logs',
  'containers',
  'container',
  'waitContainer',
  'top',
  'stats',
  'events',
  'images',
  'imageList',
  'image',
  'imageHistory',
  'saveImages',
  'diskUsage',
  'diskUsageDetails',
  'volumes',
  'volume',
  'exportVolume',
  'networks',
  'network',
] as const satisfies readonly (keyof Client)[]

/** Calls that the daemon rehearses. */
type Rehearsed = 'up' | 'down' | 'lifecycle' | 'rollback'

type Note = (line: string) => void

/** Calls whose effect is plain from their arguments. */
function toldCalls(note: Note): Pick<Client, 'removeContainer' | 'removeVolume' | 'removeNetwork'> {
  const tell = (what: string) => (name: string) => {
    note(`${DRY_RUN_PREFIX}${what} ${name} Removed`)
    return Promise.resolve()
  }
  return {
    // `rm` says it itself, by name.
    removeContainer: () => Promise.resolve(),
    removeVolume: tell('Volume'),
    removeNetwork: tell('Network'),
  }
}

/** Images are pulled and pushed without a plan: their names are all that is known before. */
function transferCalls(client: Client): Pick<Client, 'pullImages' | 'pushImages'> {
  async function* tell(
    references: readonly string[],
    done: string,
  ): AsyncGenerator<readonly ProgressEvent[], void> {
    await client.version()
    yield [
      { type: 'plan', operations: references.length },
      ...references.map((name, id): ProgressEvent => {
        return { type: 'operation', id, resource: 'image', name, action: done, status: 'done' }
      }),
      { type: 'done', changed: true, containers: [] },
    ]
  }
  return {
    pullImages: ({ references }) => tell(references, 'Pulled'),
    pushImages: ({ references }) => tell(references, 'Pushed'),
  }
}

function withManner(client: Client, manner: RequestManner): Pick<Client, Rehearsed> {
  return {
    up: (stack, request, signal) => client.up(stack, { ...request, ...manner }, signal),
    down: (stack, request, signal) => client.down(stack, { ...request, ...manner }, signal),
    lifecycle: (stack, request, signal) =>
      client.lifecycle(stack, { ...request, ...manner }, signal),
    rollback: (stack, request, signal) => client.rollback(stack, { ...request, ...manner }, signal),
  }
}

function refuse(name: string): () => never {
  return () => {
    throw new TsstackError(
      'FAILED_PRECONDITION',
      `Cannot use --dry-run here: what "${name}" of the daemon would do is not known before it is done`,
      { hint: 'Nothing was changed' },
    )
  }
}

/** @param note - where calls that are only told are written */
export function globalClient(client: Client, manner: RequestManner, note: Note): Client {
  if (manner.dryRun !== true) return { ...client, ...withManner(client, manner) }
  const reading = new Set<string>(READING)
  const refused = Object.keys(client).filter((name) => !reading.has(name))
  return {
    ...client,
    ...(Object.fromEntries(refused.map((name) => [name, refuse(name)])) as Partial<Client>),
    ...withManner(client, manner),
    ...toldCalls(note),
    ...transferCalls(client),
  }
}
