/** Progress of `up`, `down` and their like, on standard error. */
import type { ContainerSummary, ProgressEvent } from '../api/types.ts'
import { flatten } from '../client/flatten.ts'
import type { CommandContext } from './command.ts'
import { DRY_RUN_PREFIX, operationState, resourceLabel, warningLine } from './progress-view.ts'
import type { OperationEvent, ProgressView } from './progress-view.ts'
import { isSwitchedOn } from './switched-on.ts'

export interface ProgressResult {
  readonly changed: boolean
  readonly containers: readonly ContainerSummary[]
}

/** A line of Docker Compose's plain progress: ` Container hello-web-1 Created`. */
export function plainLine(event: OperationEvent, dryRun = false): string {
  return ` ${dryRun ? DRY_RUN_PREFIX : ''}${resourceLabel(event)} ${operationState(event)}`
}

const JSON_STATUS = {
  started: 'Working',
  progress: 'Working',
  done: 'Done',
  failed: 'Error',
} as const

/** A line of Docker Compose's `--progress json`. */
export function jsonLine(event: OperationEvent, dryRun = false): string {
  return JSON.stringify({
    ...(dryRun ? { 'dry-run': true } : {}),
    id: resourceLabel(event),
    status: JSON_STATUS[event.status],
    text: event.action,
    ...(event.detail === undefined ? {} : { details: event.detail }),
    ...(event.parent === undefined ? {} : { parent_id: `Image ${event.parent}` }),
    ...(event.current === undefined ? {} : { current: event.current }),
    ...(event.total === undefined ? {} : { total: event.total }),
  })
}

function plainView(note: (line: string) => void, dryRun: boolean): ProgressView {
  return {
    operation: (event) => {
      // Of what is only told, that it begins says nothing; how far a transfer is would be a flood.
      const isNoise = dryRun
        ? event.status === 'started'
        : event.status === 'progress' && event.current !== undefined
      if (!isNoise) note(plainLine(event, dryRun))
    },
    warning: (message) => {
      note(warningLine(message, 'plain'))
    },
    stop: () => Promise.resolve(),
  }
}

function jsonView(note: (line: string) => void, dryRun: boolean): ProgressView {
  return {
    operation: (event) => {
      note(jsonLine(event, dryRun))
    },
    warning: (message) => {
      note(warningLine(message, 'json'))
    },
    stop: () => Promise.resolve(),
  }
}

function quietView(note: (line: string) => void): ProgressView {
  return {
    operation: () => undefined,
    warning: (message) => {
      note(warningLine(message, 'plain'))
    },
    stop: () => Promise.resolve(),
  }
}

/** Layers beyond these are not drawn. */
const TRANSFER_SLOTS = 256

type Mode = 'tty' | 'plain' | 'json' | 'quiet'

function chooseMode({ global, output }: CommandContext): Mode {
  if (global.progress !== 'auto') return global.progress
  if (global.dryRun) return 'plain'
  return global.ansi !== 'never' && output.errorWidth() !== undefined ? 'tty' : 'plain'
}

/** Where lines of progress go. */
function noteOf({ env, output }: CommandContext): (line: string) => void {
  return isSwitchedOn(env['COMPOSE_STATUS_STDOUT']) ? output.line : output.note
}

/** The live view is loaded only when there is something to show: it costs more than a no-op `up` may. */
async function openView(
  mode: Mode,
  operations: number,
  context: CommandContext,
): Promise<ProgressView> {
  const { dryRun } = context.global
  const note = noteOf(context)
  if (mode === 'tty' && operations > 0)
    return (await import('./progress-live.ts')).liveView(operations, context.output)
  if (mode === 'json') return jsonView(note, dryRun)
  return mode === 'quiet' ? quietView(note) : plainView(note, dryRun)
}

/** After an `up` that had nothing to do: what there is, as Docker Compose says it. */
export function showUnchanged(
  { changed, containers }: ProgressResult,
  context: CommandContext,
): void {
  const mode = chooseMode(context)
  if (changed || mode === 'quiet') return
  for (const [id, { name, state }] of containers.entries()) {
    const action = `${state.charAt(0).toUpperCase()}${state.slice(1)}`
    const event: OperationEvent = {
      type: 'operation',
      id,
      resource: 'container',
      name,
      action,
      status: 'done',
    }
    noteOf(context)(mode === 'json' ? jsonLine(event) : plainLine(event))
  }
}

/**
 * Shows a stream of progress until it is done.
 * @throws {TsstackError} what the daemon reports
 */
export async function showProgress(
  stream: AsyncIterable<readonly ProgressEvent[]>,
  context: CommandContext,
): Promise<ProgressResult> {
  const mode = chooseMode(context)
  let view = await openView(mode === 'tty' ? 'plain' : mode, 0, context)
  let hasView = false
  let result: ProgressResult = { changed: false, containers: [] }
  try {
    for await (const event of flatten(stream)) {
      if (event.type === 'operation' && isUnwanted(event, context)) continue
      if (event.type === 'plan') {
        await view.stop()
        view = await openView(mode, event.operations, context)
        hasView = true
      } else if (event.type === 'operation' && mode === 'tty' && !hasView) {
        // Pulls come before the plan, and nobody knows how many layers there will be.
        view = await openView(mode, TRANSFER_SLOTS, context)
        hasView = true
        view.operation(event)
      } else if (event.type === 'operation') view.operation(event)
      else if (event.type === 'warning') view.warning(event.message)
      else if (event.type === 'done') result = event
    }
  } finally {
    await view.stop()
  }
  return result
}

/** `--quiet-pull` and `--quiet-build`: how far a transfer or a build is, but not how it ended. */
function isUnwanted(
  { resource, action, status }: OperationEvent,
  { flags }: CommandContext,
): boolean {
  if (status === 'failed') return false
  const isImage = resource === 'image'
  const isPull = resource === 'layer' || (isImage && action.startsWith('Pull'))
  const isBuild = resource === 'step' || (isImage && /^Buil[dt]/.test(action))
  return (isPull && flags.bool('quiet-pull')) || (isBuild && flags.bool('quiet-build'))
}

/** `-q`: nothing but warnings. */
export function withQuiet(context: CommandContext): CommandContext {
  if (!context.flags.bool('quiet')) return context
  return { ...context, global: { ...context.global, progress: 'quiet' } }
}
