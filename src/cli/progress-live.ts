/**
 * Live progress on a terminal, drawn by listr2 on standard error: a line for each operation, in the order in which they
 * began. listr2 wants its tasks before it runs, so there is a slot for each operation of the plan; a slot without a
 * title is not drawn, and gets its title from the operation that takes it.
 */
import { DefaultRenderer, Listr, ListrLogger, PRESET_TIMER, ProcessOutput } from 'listr2'
import type {
  ListrDefaultRendererLogLevels,
  ListrTask,
  ListrTaskWrapper,
  ListrRendererFactory,
} from 'listr2'
import { operationState, resourceLabel } from './progress-view.ts'
import type { OperationEvent, ProgressView } from './progress-view.ts'
import type { Output } from './output.ts'

type Wrapper = ListrTaskWrapper<unknown, ListrRendererFactory, ListrRendererFactory>

/** Whether standard output is a terminal is no matter: the lines go to standard error. */
class ErrorStreamRenderer extends DefaultRenderer {
  static override nonTTY = true
}

interface Slot {
  readonly begin: (title: string) => void
  readonly end: (title: string) => void
  readonly fail: (title: string) => void
  /** Ends a slot that nobody took, or whose operation was cut off. */
  readonly release: () => void
  readonly task: ListrTask
}

function createSlot(): Slot {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>()
  let wrapper: Wrapper | undefined
  let title = ''
  const setTitle = (text: string): void => {
    title = text
    if (wrapper !== undefined) wrapper.title = text
  }
  return {
    begin: setTitle,
    end: (text) => {
      setTitle(text)
      resolve(undefined)
    },
    fail: (text) => {
      setTitle(text)
      reject(new Error(text))
    },
    release: () => {
      resolve(undefined)
    },
    task: {
      task: (_, taskWrapper) => {
        wrapper = taskWrapper as Wrapper
        if (title !== '') wrapper.title = title
        return promise
      },
    },
  }
}

/** Operations beyond those of the plan: images that are made, services that are waited for. */
const SPARE_SLOTS = 32

/** Starts drawing with the first operation. */
export function liveView(operations: number, output: Output): ProgressView {
  const slots = Array.from({ length: operations + SPARE_SLOTS }, createSlot)
  const byId = new Map<number, Slot>()
  const listr = new Listr(
    slots.map((slot) => slot.task),
    {
      concurrent: true,
      exitOnError: false,
      registerSignalListeners: false,
      renderer: ErrorStreamRenderer,
      rendererOptions: {
        timer: PRESET_TIMER,
        collapseErrors: true,
        showErrorMessage: false,
        formatOutput: 'truncate',
        logger: new ListrLogger<ListrDefaultRendererLogLevels>({
          useIcons: true,
          processOutput: new ProcessOutput(process.stderr, process.stderr),
        }),
      },
    },
  )
  let running: Promise<unknown> | undefined
  const slotFor = (event: OperationEvent): Slot | undefined => {
    const known = byId.get(event.id)
    if (known !== undefined) return known
    const free = slots[byId.size]
    if (free !== undefined) byId.set(event.id, free)
    return free
  }
  return {
    operation: (event) => {
      running ??= listr.run()
      const indent = event.resource === 'layer' || event.resource === 'step' ? '  ' : ''
      const title = `${indent}${resourceLabel(event)}  ${operationState(event)}`
      const slot = slotFor(event)
      if (event.status === 'started' || event.status === 'progress') slot?.begin(title)
      else if (event.status === 'done') slot?.end(title)
      else slot?.fail(title)
    },
    warning: (message) => {
      output.note(`warning: ${message}`)
    },
    stop: async () => {
      for (const slot of slots) slot.release()
      await running
    },
  }
}
