/** Lines of several containers, interleaved, each with an aligned prefix: `web-1  | text`. */
import type { LogLine } from '../api/types.ts'
import type { Output } from './output.ts'
import { cycleColor } from './style.ts'

export interface LogPrinterOptions {
  readonly stack: string
  readonly prefix: boolean
  readonly timestamps: boolean
  readonly color: boolean
  /** What a container wrote to standard error goes to ours (`up`), instead of to standard output (`logs`). */
  readonly splitStreams?: boolean
}

export interface LogPrinter {
  /** Makes room for a name before its first line, so that the columns do not move later. */
  register(container: string): void
  print(lines: readonly LogLine[]): void
  /** A line about a container: `web-1 exited with code 0`. */
  status(container: string, text: string): void
}

/** Docker Compose's name in logs: without the stack's name in front, if it is the default one. */
export function shortName(stack: string, container: string): string {
  return container.startsWith(`${stack}-`) ? container.slice(stack.length + 1) : container
}

export function createLogPrinter(
  options: LogPrinterOptions,
  output: Pick<Output, 'write' | 'writeError'>,
): LogPrinter {
  const colors = new Map<string, (text: string) => string>()
  const prefixes = new Map<string, string>()
  let width = 0

  const register = (name: string): void => {
    if (colors.has(name)) return
    colors.set(name, options.color ? cycleColor(colors.size) : (text) => text)
    width = Math.max(width, name.length + 1)
    if (!options.prefix) return
    for (const [known, paint] of colors) prefixes.set(known, paint(`${known.padEnd(width)} | `))
  }

  return {
    register: (container) => {
      register(shortName(options.stack, container))
    },

    print: (lines) => {
      let text = ''
      let toError = false
      const flush = (): void => {
        if (text === '') return
        if (toError) output.writeError(text)
        else output.write(text)
        text = ''
      }
      for (const { container, line, time, stream } of lines) {
        const name = shortName(options.stack, container)
        register(name)
        const isError = options.splitStreams === true && stream === 'stderr'
        if (isError !== toError) flush()
        toError = isError
        const stamp = options.timestamps ? `${time} ` : ''
        text += `${prefixes.get(name) ?? ''}${stamp}${line}\n`
      }
      flush()
    },

    status: (container, message) => {
      const name = shortName(options.stack, container)
      register(name)
      output.write(`${(colors.get(name) ?? String)(`${name} ${message}`)}\n`)
    },
  }
}
