/** `up` in the foreground: the output of the containers until they have all ended, or Ctrl-C. */
import type { ContainerSummary, EngineEvent, UpRequest } from '../api/types.ts'
import type { Client } from '../client/client.ts'
import { flatten } from '../client/flatten.ts'
import { TsstackError } from '../errors.ts'
import { dependencyGraph, selectServices } from '../planner/dependency-graph.ts'
import type { StackWatch } from '../watch/stack-watch.ts'
import type { CommandContext } from './command.ts'
import { INTERRUPTED_EXIT, onInterrupt } from './interrupt.ts'
import type { Interrupt } from './interrupt.ts'
import type { MenuScreen } from './menu.ts'
import { foregroundKeys } from './foreground-menu.ts'
import { createLogCursor } from './log-cursor.ts'
import type { LogCursor } from './log-cursor.ts'
import { createLogPrinter, shortName } from './log-printer.ts'
import type { LogPrinter } from './log-printer.ts'
import { showProgress } from './progress.ts'
import { checkServices, isAlive } from './select-containers.ts'

interface Foreground {
  readonly context: CommandContext
  readonly client: Client
  readonly stack: string
  readonly request: UpRequest
  /** Follows files meanwhile, from the beginning or from when a key is pressed. */
  readonly watch: StackWatch
  /** Absent: no menu. Else `context` writes through it. */
  readonly menu?: MenuScreen
}

/** Before anything is started: a slip of the pen is to leave nothing behind. @throws {NOT_FOUND} */
function checkNames({ context: { flags }, request }: Foreground): void {
  const names = ['exit-code-from', 'attach', 'no-attach'].flatMap(
    (flag) => flags.text(flag) ?? flags.list(flag),
  )
  checkServices(names, Object.keys(request.stack.services))
}

/** Ends that the user asked for with flags. */
interface AbortRule {
  readonly onExit: boolean
  readonly onFailure: boolean
  readonly exitCodeFrom: string | undefined
}

function readAbortRule({ context: { flags } }: Foreground): AbortRule {
  const exitCodeFrom = flags.text('exit-code-from')
  const onFailure = flags.bool('abort-on-container-failure')
  return {
    onExit: flags.bool('abort-on-container-exit') || (exitCodeFrom !== undefined && !onFailure),
    onFailure,
    exitCodeFrom,
  }
}

/**
 * Services whose output is shown: those of `--attach`; else those that `up` was given, with what they depend on only when
 * asked; else all. Less `--no-attach` and `attach: false`.
 */
function attachedServices(
  { context: { flags }, request }: Foreground,
  containers: readonly ContainerSummary[],
): ReadonlySet<string> {
  const only = flags.list('attach')
  const without = flags.list('no-attach')
  const named = flags.bool('attach-dependencies') ? undefined : request.options.services
  const services =
    only.length > 0 ? only : (named ?? containers.map((container) => container.service))
  return new Set(
    services.filter(
      (service) =>
        !without.includes(service) &&
        (only.length > 0 || request.stack.services[service]?.attach !== false),
    ),
  )
}

/** Output goes on while they stop: what is drawn and redrawn would overwrite lines of it. */
function withPlainLines(context: CommandContext): CommandContext {
  const { progress } = context.global
  if (progress !== 'auto' && progress !== 'tty') return context
  return { ...context, global: { ...context.global, progress: 'plain' } }
}

async function stopStack(foreground: Foreground, interrupt: Interrupt): Promise<void> {
  const { client, stack } = foreground
  const context = withPlainLines(foreground.context)
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
    oneoff: false,
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
  readonly foreground: Foreground
  readonly since: string
  readonly ids: ReadonlySet<string>
  readonly printer: LogPrinter
  readonly signal: AbortSignal
  readonly rule: AbortRule
  /** Containers whose end has been told, by id. */
  readonly told: Set<string>
}

async function containersOf({ client, stack }: Foreground): Promise<readonly ContainerSummary[]> {
  return client.containers({ stack, all: true })
}

/** Tells of an end. */
function tellEnd(watch: Watch, container: ContainerSummary, exitCode: number): void {
  const restarts = isAlive(container)
  if (!restarts) watch.told.add(container.id)
  const suffix = restarts ? ' (restarting)' : ''
  watch.printer.status(container.name, `exited with code ${String(exitCode)}${suffix}`)
}

/** @returns how it ends, when this event ends it all */
async function handleEnd(watch: Watch, event: EngineEvent): Promise<End | undefined> {
  const exitCode = Number(event.attributes['exitCode'] ?? 0)
  const containers = await containersOf(watch.foreground)
  const container = containers.find((candidate) => candidate.id === event.id)
  if (container !== undefined) tellEnd(watch, container, exitCode)
  if (container !== undefined && isAlive(container)) return undefined
  const { rule, ids } = watch
  if (rule.onExit || (rule.onFailure && exitCode !== 0)) return { exitCode, abort: true }
  if (watch.foreground.watch.isActive) return undefined
  const others = containers.some((other) => ids.has(other.id) && isAwaited(watch, other))
  return others ? undefined : { exitCode: 0, abort: false }
}

/** Where services are named, those that they depend on do not keep the foreground. */
function isAwaited({ foreground }: Watch, container: ContainerSummary): boolean {
  const named = foreground.request.options.services
  return isAlive(container) && (named === undefined || named.includes(container.service))
}

/** Waits until the containers have ended, the rule says to stop, or the signal is raised. */
async function watchEnds(watch: Watch): Promise<End> {
  const { client, stack } = watch.foreground
  try {
    const query = { stack, since: watch.since, follow: true }
    for await (const event of flatten(client.events(query, watch.signal))) {
      const isEnd = event.type === 'container' && event.action === 'die' && watch.ids.has(event.id)
      const end = isEnd ? await handleEnd(watch, event) : undefined
      if (end !== undefined) return end
    }
  } catch (error) {
    if (!watch.signal.aborted) throw error
  }
  return { exitCode: 0, abort: false }
}

/** The exit code of a service that `--exit-code-from` names, once it has ended. */
function exitCodeFrom(
  containers: readonly ContainerSummary[],
  service: string | undefined,
): number | undefined {
  if (service === undefined) return undefined
  return containers.find((container) => container.service === service && !container.oneoff)
    ?.exitCode
}

function openPrinter(
  { context, stack }: Foreground,
  shown: readonly ContainerSummary[],
): LogPrinter {
  const { flags, output } = context
  const printer = createLogPrinter(
    {
      stack,
      prefix: !flags.bool('no-log-prefix'),
      timestamps: flags.bool('timestamps'),
      color: output.color && !flags.bool('no-color'),
      splitStreams: true,
    },
    output,
  )
  for (const container of shown) printer.register(container.name)
  if (shown.length > 0) {
    output.writeError(
      `Attaching to ${shown.map(({ name }) => shortName(stack, name)).join(', ')}\n`,
    )
  }
  return printer
}

interface Attachment {
  readonly interrupt: Interrupt
  /** RFC 3339: when `up` began. */
  readonly since: string
  readonly containers: readonly ContainerSummary[]
}

/** Follows output until all has ended, or was stopped. @returns the exit code */
async function attach(foreground: Foreground, attachment: Attachment): Promise<number> {
  const { interrupt, since, containers } = attachment
  const rule = readAbortRule(foreground)
  const services = attachedServices(foreground, containers)
  const detaching = new AbortController()
  const closeMenu = foreground.menu?.open(
    foregroundKeys(foreground.context, foreground.watch, () => {
      detaching.abort()
    }),
  )
  const shown = containers.filter((container) => services.has(container.service))
  const printer = openPrinter(foreground, shown)
  const reading = { services, since, printer, cursor: createLogCursor() }
  const logging = new AbortController()
  const following = printLogs(foreground, reading, logging.signal)
  following.catch(() => undefined) // awaited below; until then a failure is no unhandled one
  const ids = new Set(containers.map((container) => container.id))
  const told = new Set<string>()
  const watch = {
    foreground,
    since,
    ids,
    printer,
    signal: AbortSignal.any([interrupt.signal, detaching.signal]),
    rule,
    told,
  }
  const alive =
    containers.some((container) => isAwaited(watch, container)) ||
    rule.onExit ||
    rule.onFailure ||
    foreground.watch.isActive
  const end = alive ? await watchEnds(watch) : { exitCode: 0, abort: false }
  closeMenu?.()
  if (detaching.signal.aborted) {
    logging.abort()
    await following
    return 0
  }
  if (interrupt.signal.aborted) await stopGracefully(foreground, interrupt)
  else if (end.abort) {
    foreground.context.output.note('Aborting on container exit...')
    await stopStack(foreground, interrupt)
  }
  logging.abort()
  await following
  // What was written last may not have come yet when its writer was already gone.
  reading.cursor.rewind()
  await printLogs(foreground, reading)
  const ended = (await containersOf(foreground)).filter(({ id }) => ids.has(id))
  for (const container of ended) {
    if (!isAlive(container) && !told.has(container.id)) {
      tellEnd(watch, container, container.exitCode ?? 0)
    }
  }
  if (interrupt.signal.aborted) return INTERRUPTED_EXIT
  return exitCodeFrom(ended, rule.exitCodeFrom) ?? end.exitCode
}

async function stopGracefully(foreground: Foreground, interrupt: Interrupt): Promise<void> {
  foreground.context.output.note('Gracefully Stopping... press Ctrl+C again to force')
  await stopStack(foreground, interrupt)
}

/** @returns the exit code */
export async function runInForeground(foreground: Foreground): Promise<number> {
  const { context, client, stack, request } = foreground
  checkNames(foreground)
  const since = new Date().toISOString()
  const interrupt = onInterrupt()
  try {
    // First, so that new containers have what is synced initially before their programs start.
    if (context.flags.bool('watch')) await foreground.watch.start()
    const result = await showProgress(client.up(stack, request, interrupt.signal), context)
    const isMeant = scopeOf(request)
    const containers = result.containers.filter(isMeant)
    return await attach(foreground, { interrupt, since, containers })
  } catch (error) {
    if (!interrupt.signal.aborted || !isCancelled(error)) throw error
    await stopGracefully(foreground, interrupt)
    return INTERRUPTED_EXIT
  } finally {
    await foreground.watch.stop()
    interrupt.close()
  }
}

/** Of what was asked for and what that depends on: neither of a `run` nor an orphan, nor of the rest of the stack. */
function scopeOf({ stack, options }: UpRequest): (container: ContainerSummary) => boolean {
  const { services = [], noDeps = false } = options
  const meant = new Set(selectServices(dependencyGraph(stack), services, { noDeps }))
  return ({ service, oneoff }) => !oneoff && meant.has(service)
}

function isCancelled(error: unknown): boolean {
  return error instanceof TsstackError && error.code === 'CANCELLED'
}
