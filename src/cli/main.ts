/** The command line's entry: finds the command, reads its flags, runs it, and turns a failure into text and exit code. */
import type { Client } from '../client/client.ts'
import { toTsstackError, TsstackError } from '../errors.ts'
import { parseArgs, splitAtCommand, type ParsedArgs } from './args.ts'
import type { Command, CommandContext } from './command.ts'
import { COMMANDS } from './command-table.ts'
import { didYouMean } from './did-you-mean.ts'
import { withFileSettings } from './env-file-settings.ts'
import { errorLine, explainError } from './error-text.ts'
import { GLOBAL_FLAGS, readGlobalOptions } from './global-options.ts'
import type { GlobalOptions } from './global-options.ts'
import { formatCommandHelp, formatRootHelp } from './help.ts'
import { createOutput } from './output.ts'
import type { Output } from './output.ts'
import { refuseCommand } from './refused-commands.ts'
import { createStyle } from './style.ts'

function rootHelp(): string {
  return formatRootHelp(
    Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary] as const),
  )
}

async function loadCommand(name: string): Promise<Command> {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (entry === undefined) {
    refuseCommand(name)
    throw new TsstackError(
      'INVALID_ARGUMENT',
      `unknown command: "tsstack ${name}"${didYouMean(name, Object.keys(COMMANDS))}`,
      {
        hint: 'run "tsstack --help" for the list of commands',
      },
    )
  }
  return entry.load()
}

function checkArguments(name: string, command: Command, count: number): void {
  const { min, max } = command.arguments ?? { min: 0 }
  if (count >= min && (max === undefined || count <= max)) return
  const number =
    max === undefined
      ? `at least ${String(min)}`
      : min === max
        ? String(min)
        : `${String(min)} to ${String(max)}`
  const expected =
    max === 0
      ? 'no arguments'
      : `${number} argument${number.endsWith(' 1') || number === '1' ? '' : 's'}`
  throw new TsstackError(
    'INVALID_ARGUMENT',
    `"tsstack ${name}" takes ${expected}, ${String(count)} given`,
    {
      hint: `tsstack ${name} ${command.usage}`,
    },
  )
}

interface Invocation {
  readonly name: string
  readonly words: readonly string[]
  readonly before: readonly string[]
}

async function runCommand({ name, words, before }: Invocation, output: Output): Promise<number> {
  const command = await loadCommand(name)
  const passthrough = command.passthrough ?? false
  const { flags, positional } = parseArgs(
    { flags: command.flags, globals: GLOBAL_FLAGS, passthrough },
    words,
  )
  if (flags.bool('help')) {
    output.write(formatCommandHelp(name, command, positional[0]))
    return 0
  }
  const early = parseArgs({ flags: [], globals: GLOBAL_FLAGS, passthrough: true }, before).flags
  const own = new Set(command.flags.map((flag) => flag.name))
  const late = {
    ...flags,
    bool: (key: string) => !own.has(key) && flags.bool(key),
    text: (key: string) => (own.has(key) ? undefined : flags.text(key)),
    list: (key: string) => (own.has(key) ? [] : flags.list(key)),
  }
  const given = readGlobalOptions(early, late, process.env)
  const env = await withFileSettings(process.env, given, process.cwd())
  const global = env === process.env ? given : readGlobalOptions(early, late, env)
  checkArguments(name, command, positional.length)
  try {
    return await command.run({ ...contextOf({ flags, positional }, global, output), env })
  } catch (thrown) {
    if (global.progress !== 'json') throw thrown
    output.note(errorLine(thrown))
    return toTsstackError(thrown).exitCode
  }
}

function contextOf(args: ParsedArgs, global: GlobalOptions, output: Output): CommandContext {
  return {
    ...args,
    global,
    output: createOutput(global.ansi, process.env),
    env: process.env,
    cwd: process.cwd(),
    client: () => connect(global, output),
  }
}

async function connect({ dryRun, parallel }: GlobalOptions, { note }: Output): Promise<Client> {
  const { connectOrStart } = await import('../client/start-daemon.ts')
  const client = await connectOrStart(process.env, note)
  if (!dryRun && parallel === undefined) return client
  const { globalClient } = await import('./global-client.ts')
  return globalClient(client, { dryRun, ...(parallel === undefined ? {} : { parallel }) }, note)
}

async function dispatch(words: readonly string[], output: Output): Promise<number> {
  const { before, command, after } = splitAtCommand(GLOBAL_FLAGS, words)
  const globals = parseArgs({ flags: [], globals: GLOBAL_FLAGS, passthrough: true }, before).flags
  if (command === '__complete') {
    const { candidates } = await import('./complete.ts')
    const none = parseArgs({ flags: [], globals: GLOBAL_FLAGS, passthrough: true }, []).flags
    const global = readGlobalOptions(globals, none, process.env)
    const context = contextOf({ flags: globals, positional: after }, global, output)
    output.write((await candidates(COMMANDS, context)).map((word) => `${word}\n`).join(''))
    return 0
  }
  if (command === 'help') {
    const [name, word] = after
    output.write(
      name === undefined ? rootHelp() : formatCommandHelp(name, await loadCommand(name), word),
    )
    return 0
  }
  if (command === undefined) {
    if (globals.bool('version'))
      return runCommand({ name: 'version', words: [], before: [] }, output)
    output.write(rootHelp())
    return 0
  }
  if (globals.bool('help'))
    return runCommand({ name: command, words: ['--help'], before: [] }, output)
  return runCommand({ name: command, words: after, before }, output)
}

async function main(): Promise<void> {
  // Ours alone: containers and the daemon must not inherit it.
  delete process.env['NODE_COMPILE_CACHE']
  const output = createOutput('auto', process.env)
  try {
    process.exitCode = await dispatch(process.argv.slice(2), output)
  } catch (thrown) {
    output.note(await explainError(thrown, createStyle(output.errorColor)))
    process.exitCode = toTsstackError(thrown).exitCode
  }
}

void main()
