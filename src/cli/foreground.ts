/** `up` in the foreground: the output of the containers until they have all ended, or Ctrl-C. */
import type { ContainerSummary, EngineEvent, UpRequest } from '../api/types.ts'
import type { Client } from '../client/client.ts'
import { flatten } from '../client/flatten.ts'
import type { CommandContext } from './command.ts'
import { onInterrupt } from './interrupt.ts'
import type { Interrupt } from './interrupt.ts'
import { createLogCursor } from './log-cursor.ts'
import type { LogCursor } from './log-cursor.ts'
import { createLogPrinter, shortName } from './log-printer.ts'
import type { LogPrinter } from './log-printer.ts'
import { showProgress } from './progress.ts'
import { checkServices, isAlive } from './select-containers.ts'

const INTERRUPTED_EXIT = 130

interface Foreground {
  readonly context: CommandContext
  readonly client: Client
  readonly stack: string
  readonly request: UpRequest
}

/** Ends that the user asked for with flags. */
interface AbortRule {
  readonly onExit: boolean
  readonly onFailure: boolean
  readonly exitCodeFrom: string | undefined
}

function readAbortRule({ context: { flags }, request }: Foreground): AbortRule {
  const exitCodeFrom = flags.text('exit-code-from')
  if (exitCodeFrom !== undefined) checkServices([exitCodeFrom], Object.keys(request.stack.services))
  return {
    onExit: flags.bool('abort-on-container-exit') || exitCodeFrom !== undefined,
    onFailure: flags.bool('abort-on-container-failure'),
    exitCodeFrom,
  }
}

/** Services whose output is shown: `--attach`, less `--no-attach` and `attach: false`. */
function attachedServices(
  { context: { flags }, request }: Foreground,
  containers: readonly ContainerSummary[],
): ReadonlySet<string> {
  const only = flags.list('attach')
  const without = flags.list('no-attach')
  checkServices([...only, ...without], Object.keys(request.stack.services))
  const services = only.length > 0 ? only : containers.map((container) => container.service)
  return new Set(
    services.filter(
      (service) =>
        !without.includes(service) &&
        (only.length > 0 || request.stack.services[service]?.attach !== false),
    ),
  )
}

async function stopStack(foreground: Foreground, interrupt: Interrupt): Promise<void> {
  const { context, client, stack } = foreground
  const timeoutSeconds = foreground.request.options.timeoutSeconds
  const services = foreground.request.options.services
  const common = services === undefined ? {} : { services }
  const stopping = showProgress(
    client.lifecycle(stack, {
      action: 'stop',
      ...common,
      ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
    }),
    context,
  )
  const killing = new Promise<void>((resolve, reject) => {
    interrupt.onAgain(() => {
      context.output.note('Killing…')
      showProgress(client.lifecycle(stack, { action: 'kill', ...common }), context).then(() => {
        resolve()
      }, reject)
    })
  })
  await Promise.race([stopping, killing])
}

interface LogReading {
  readonly services: ReadonlySet<string>
  readonly since: string
  readonly printer: LogPrinter
  readonly cursor: LogCursor
}

async function printLogs(
  foreground: Foreground,
  reading: LogReading,
  follow?: AbortSignal,
): Promise<void> {
  const { services, since, printer, cursor } = reading
  if (services.size === 0) return
  const query = {
    services: [...services].join(','),
    since,
    ...(follow === undefined ? {} : { follow: true }),
  }
  try {
    for await (const lines of foreground.client.logs(foreground.stack, query, follow))
      printer.print(cursor.fresh(lines))
  } catch (error) {
    if (follow?.aborted !== true) throw error
  }
}

/** How the foreground ended by itself: with this exit code, after stopping the rest or not. */
interface End {
  readonly exitCode: number
  readonly abort: boolean
}

interface Watch {
  readonly since: string
  readonly ids: ReadonlySet<string>
  readonly printer: LogPrinter
  readonly signal: AbortSignal
  readonly rule: AbortRule
}

function exitCodeOf(event: EngineEvent): number {
  return Number(event.attributes['exitCode'] ?? 0)
}

/** @returns how it ends, when this event ends it all */
async function handleEnd(
  foreground: Foreground,
  watch: Watch,
  event: EngineEvent,
): Promise<End | undefined> {
  const { client, stack } = foreground
  const exitCode = exitCodeOf(event)
  const containers = await client.containers({ stack, all: true })
  const container = containers.find((candidate) => candidate.id === event.id)
  const name = container?.name ?? event.attributes['name'] ?? event.id
  const restarts = container !== undefined && isAlive(container)
  watch.printer.status(
    name,
    `exited with code ${String(exitCode)}${restarts ? ' (restarting)' : ''}`,
  )
  if (restarts) return undefined
  const { rule } = watch
  if (rule.onExit || (rule.onFailure && exitCode !== 0)) return { exitCode, abort: true }
  const others = containers.some((other) => watch.ids.has(other.id) && isAlive(other))
  return others ? undefined : { exitCode: 0, abort: false }
}

/** Waits until the containers have ended, or the rule says to stop. */
async function watchEnds(foreground: Foreground, watch: Watch): Promise<End> {
  const { client, stack } = foreground
  try {
    const query = { stack, since: watch.since, follow: true }
    for await (const event of flatten(client.events(query, watch.signal))) {
      const isEnd = event.type === 'container' && event.action === 'die' && watch.ids.has(event.id)
      const end = isEnd ? await handleEnd(foreground, watch, event) : undefined
      if (end !== undefined) return end
    }
  } catch (error) {
    if (!watch.signal.aborted) throw error
  }
  return { exitCode: 0, abort: false }
}

/** Follows output and ends until it is over. @returns the exit code, or undefined after Ctrl-C */
async function attach(foreground: Foreground, attachment: Attachment): Promise<number | undefined> {
  const { context, stack } = foreground
  const { flags, output } = context
  const { interrupt, watching, since, containers } = attachment
  const rule = readAbortRule(foreground)
  const services = attachedServices(foreground, containers)
  const shown = containers.filter((container) => services.has(container.service))
  const color = output.color && !flags.bool('no-color')
  const printer = createLogPrinter(
    {
      stack,
      prefix: !flags.bool('no-log-prefix'),
      timestamps: flags.bool('timestamps'),
      color,
      splitStreams: true,
    },
    output,
  )
  for (const container of shown) printer.register(container.name)
  if (shown.length > 0)
    output.note(`Attaching to ${shown.map(({ name }) => shortName(stack, name)).join(', ')}`)
  const reading = { services, since, printer, cursor: createLogCursor() }
  const following = printLogs(foreground, reading, watching.signal)
  const ids = new Set(containers.map((container) => container.id))
  const end = await watchEnds(foreground, { since, ids, printer, signal: watching.signal, rule })
  if (interrupt.signal.aborted) {
    await following
    return undefined
  }
  if (end.abort) {
    output.note('Aborting on container exit...')
    await stopStack(foreground, interrupt)
  }
  const exitCode = await exitCodeFrom(foreground, rule.exitCodeFrom)
  watching.abort()
  await following
  // What was written last may not have come yet when its writer was already gone.
  reading.cursor.rewind()
  await printLogs(foreground, reading)
  return exitCode ?? end.exitCode
}

/** The exit code of a service that `--exit-code-from` names, once it has ended. */
async function exitCodeFrom(
  { client, stack }: Foreground,
  service: string | undefined,
): Promise<number | undefined> {
  if (service === undefined) return undefined
  const containers = await client.containers({ stack, all: true })
  return containers.find((container) => container.service === service && !container.oneoff)
    ?.exitCode
}

interface Attachment {
  readonly interrupt: Interrupt
  readonly watching: AbortController
  readonly since: string
  readonly containers: readonly ContainerSummary[]
}

/** @returns the exit code */
export async function runInForeground(foreground: Foreground): Promise<number> {
  const { context, client, stack, request } = foreground
  const since = new Date().toISOString()
  const interrupt = onInterrupt()
  const watching = new AbortController()
  interrupt.signal.addEventListener('abort', () => {
    watching.abort()
  })
  try {
    const { containers } = await showProgress(client.up(stack, request, interrupt.signal), context)
    if (!containers.some(isAlive)) return 0
    const exitCode = await attach(foreground, { interrupt, watching, since, containers })
    if (exitCode !== undefined) return exitCode
  } catch (error) {
    if (!interrupt.signal.aborted) throw error
  } finally {
    watching.abort()
    if (interrupt.signal.aborted) {
      context.output.note('Gracefully Stopping... press Ctrl+C again to force')
      await stopStack(foreground, interrupt)
    }
    interrupt.close()
  }
  return INTERRUPTED_EXIT
}
