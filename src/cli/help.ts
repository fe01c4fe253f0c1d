/** The help texts, as plain text of at most 80 columns. Pure. */
import type { Flag } from './args.ts'
import type { Command } from './command.ts'
import { GLOBAL_FLAGS } from './global-options.ts'
import { flagsOf } from './subcommands.ts'

const WIDTH = 80

/** Breaks text into lines of at most `width` letters between words. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}

/** Lines of their own stay so. */
function paragraphs(text: string): string {
  return text
    .split('\n')
    .flatMap((line) => wrap(line, WIDTH))
    .join('\n')
}

function columns(rows: readonly (readonly [left: string, right: string])[]): string {
  const left = Math.min(28, Math.max(...rows.map(([text]) => text.length)))
  return rows
    .flatMap(([name, text]) => {
      const lines = wrap(text, WIDTH - left - 4)
      const first =
        name.length > left
          ? [`  ${name}`, `  ${' '.repeat(left)}  ${lines[0] ?? ''}`]
          : [`  ${name.padEnd(left)}  ${lines[0] ?? ''}`]
      return [...first, ...lines.slice(1).map((line) => `  ${' '.repeat(left)}  ${line}`)]
    })
    .join('\n')
}

function flagRows(flags: readonly Flag[]): (readonly [string, string])[] {
  return flags
    .filter((flag) => flag.hidden !== true)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((flag) => {
      const short = flag.short === undefined ? '    ' : `-${flag.short}, `
      const value = flag.kind === 'bool' ? '' : ` ${flag.value ?? 'VALUE'}`
      return [`${short}--${flag.name}${value}`, flag.help] as const
    })
}

/** Help of one command; of one that has subcommands their list, or with a word that of the one. */
export function formatCommandHelp(name: string, command: Command, word?: string): string {
  const { usage, summary, details, flags, examples, subcommands = {} } = command
  const one = word !== undefined && Object.hasOwn(subcommands, word) ? subcommands[word] : undefined
  if (word !== undefined && one !== undefined)
    return formatHelp({
      usage: `${name} ${word} ${one.usage}`,
      summary: sentence(one.summary),
      flags: flagsOf(command, word),
      examples: examples.filter(([line]) => line.startsWith(`tsstack ${name} ${word} `)),
    })
  const rows = Object.entries(subcommands).map(
    ([each, about]) => [each, sentence(about.summary)] as const,
  )
  return formatHelp({
    usage: `${name} ${usage}`,
    summary,
    ...(details === undefined ? {} : { details }),
    commands: rows,
    flags: rows.length > 0 ? [] : flags,
    examples,
    more:
      rows.length > 0 ? `Run "tsstack ${name} COMMAND --help" for the options of a command.` : '',
  })
}

interface HelpText extends Pick<Command, 'usage' | 'summary' | 'details' | 'flags' | 'examples'> {
  readonly commands?: readonly (readonly [name: string, summary: string])[]
  readonly more?: string
}

function formatHelp(help: HelpText): string {
  const { usage, summary, details, commands = [], flags, examples, more = '' } = help
  const parts = [`Usage:  tsstack ${usage}`.trimEnd(), wrap(summary, WIDTH).join('\n')]
  if (details !== undefined) parts.push(paragraphs(details))
  if (commands.length > 0) parts.push(`Commands:\n${columns(commands)}`)
  if (flags.some((flag) => flag.hidden !== true))
    parts.push(`Options:\n${columns(flagRows(flags))}`)
  if (examples.length > 0)
    parts.push(
      `Examples:\n${examples.map(([line, meaning]) => `  ${line}\n      ${meaning}`).join('\n')}`,
    )
  if (more !== '') parts.push(more)
  parts.push('Global options: see "tsstack --help".')
  return `${parts.join('\n\n')}\n`
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}

/** Help of tsstack itself. */
export function formatRootHelp(
  commands: readonly (readonly [name: string, summary: string])[],
): string {
  return `${[
    'Usage:  tsstack [OPTIONS] COMMAND',
    "Bring the containers of a stack file (a Compose file) up and down, on an engine of\ntsstack's own: no Docker underneath.",
    `Commands:\n${columns(commands)}`,
    `Options:\n${columns(flagRows(GLOBAL_FLAGS))}`,
    'Examples:\n  tsstack up -d\n      Start the stack of ./compose.yaml in the background\n  tsstack -f examples/hello/stack.yaml plan\n      What "up" would do, and why',
    'Run "tsstack COMMAND --help" for more on a command.',
  ].join('\n\n')}\n`
}
