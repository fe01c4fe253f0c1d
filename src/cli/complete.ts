/** Candidates for the last word of an unfinished command line: commands, flags, their values, services. */
import { parseArgs, splitAtCommand, type Flag, type Flags } from './args.ts'
import type { Command, CommandContext } from './command.ts'
import type { CommandEntry } from './command-table.ts'
import { GLOBAL_FLAGS, readGlobalOptions } from './global-options.ts'
import { flagsOf } from './subcommands.ts'

/** Tells the shell to complete names of files by itself. */
const FILES = ':files'

/** Commands whose arguments are services; of those with `SERVICE [COMMAND]…` only the first. */
function takesServices(usage: string, before: number): boolean {
  return usage.includes('[SERVICE...]') || (/\bSERVICE\b/.test(usage) && before === 0)
}

/** With a word behind a command that takes one, only the flags of that. */
function ownFlags(command: Command | undefined, word: string | undefined): readonly Flag[] {
  if (command?.subcommands === undefined || word === undefined) return command?.flags ?? []
  return flagsOf(command, word)
}

function flagNamed(flags: readonly Flag[], word: string | undefined): Flag | undefined {
  return flags.find(
    ({ name, short }) => word === `--${name}` || (short !== undefined && word === `-${short}`),
  )
}

function flagWords(flags: readonly Flag[]): readonly string[] {
  return flags.filter(({ hidden }) => hidden !== true).map(({ name }) => `--${name}`)
}

/** The value of a flag: its choices, or a file. */
function valuesOf({ choices, value }: Flag): readonly string[] {
  if (choices !== undefined) return choices
  return value === 'PATH' || value === 'FILE' ? [FILES] : []
}

/** The services that the stack file at hand names; none when it can't be read. */
async function servicesOf(context: CommandContext): Promise<readonly string[]> {
  try {
    const { loadSources } = await import('../sources/load-sources.ts')
    const { toSourceOptions } = await import('./stack-source.ts')
    const { stack } = await loadSources({ ...toSourceOptions(context), profiles: ['*'] })
    return Object.keys(stack.services)
  } catch {
    return []
  }
}

/** With the `-f`, `-p` and their like of the command line that is being typed. */
function withTypedGlobals(context: CommandContext): CommandContext {
  try {
    const { before } = splitAtCommand(GLOBAL_FLAGS, context.positional.slice(0, -1))
    const read = (words: readonly string[]): Flags =>
      parseArgs({ flags: [], globals: GLOBAL_FLAGS, passthrough: true }, words).flags
    return { ...context, global: readGlobalOptions(read(before), read([]), context.env) }
  } catch {
    return context
  }
}

/**
 * @param commands - all of them, by name
 * @param given - its arguments are what stands behind `tsstack`, the last one unfinished, perhaps empty
 */
export async function candidates(
  commands: Readonly<Record<string, CommandEntry>>,
  given: CommandContext,
): Promise<readonly string[]> {
  const context = withTypedGlobals(given)
  const last = given.positional.at(-1) ?? ''
  const earlier = given.positional.slice(0, -1)
  const { command: name, after } = commandIn(earlier)
  const entry = name !== undefined && Object.hasOwn(commands, name) ? commands[name] : undefined
  const command = await entry?.load()
  const words = after.filter((word) => !word.startsWith('-'))
  const flags = [...ownFlags(command, words[0]), ...GLOBAL_FLAGS]
  const pending = flagNamed(flags, earlier.at(-1))
  const all = async (): Promise<readonly string[]> => {
    if (pending !== undefined && pending.kind !== 'bool') return valuesOf(pending)
    if (last.startsWith('-')) return flagWords(flags)
    if (command === undefined) return [...Object.keys(commands), 'help']
    const { subcommands } = command
    if (subcommands !== undefined && words.length === 0) return Object.keys(subcommands)
    const usage = subcommands?.[words[0] ?? '']?.usage ?? command.usage
    const before = subcommands === undefined ? words.length : words.length - 1
    return takesServices(usage, before) ? servicesOf(context) : []
  }
  const found = await all()
  return found.filter((word) => word === FILES || word.startsWith(last))
}

/** Where the words so far are not yet a command line, there is no command in them. */
function commandIn(words: readonly string[]): ReturnType<typeof splitAtCommand> {
  try {
    return splitAtCommand(GLOBAL_FLAGS, words)
  } catch {
    return { before: [], command: undefined, after: [] }
  }
}
