/**
 * The real command line, `./tsstack`, against a daemon of the test's own: as a user would type it, beside the daemon in
 * its network namespace.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { startDaemonFixture, type DaemonFixture } from '../daemon-fixture.ts'
import { eventually } from '../eventually.ts'

const ROOT = path.join(import.meta.dirname, '../..')
/** Above what any command here needs; a command that hangs shall fail its test by its own name. */
const COMMAND_TIMEOUT_MS = 120_000

export interface Outcome {
  /** Undefined: ended by a signal, or by the time limit. */
  readonly exitCode: number | undefined
  /** Without the last newline. */
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  /** Written to standard input. Default: none, as from `/dev/null`. */
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  /** For a command that may take longer than any other. */
  readonly timeoutMs?: number
}

/** A command that goes on: `up` in the foreground, `logs -f`, `events`. */
export interface RunningCommand {
  /** Both streams, in the order in which they came. */
  output(): string
  /** Resolves when the output has this in it. */
  untilOutput(text: string): Promise<void>
  signal(name: NodeJS.Signals): void
  readonly exitCode: Promise<number | undefined>
}

/** Words as typed, split at spaces; an array for words with spaces in them. */
export type Words = string | readonly string[]

export interface CommandLine {
  /** Where commands are typed. */
  readonly directory: string
  /** Runs `./tsstack WORDS` to its end, whatever its exit code. */
  run(words: Words, options?: CommandOptions): Promise<Outcome>
  /** The same, for commands that must succeed. @returns standard output @throws {Error} with what it said */
  ok(words: Words, options?: CommandOptions): Promise<string>
  start(words: Words): RunningCommand
  /** `curl` beside the daemon. @throws {Error} unless an answer of status 2xx comes within seconds */
  curl(...args: readonly string[]): Promise<string>
  /** Full ids of a service's containers (of all, without one) in the order of their numbers. */
  ids(service?: string): Promise<string[]>
  /** Replaces a text in a file of the directory. @throws {Error} when the file does not have it */
  edit(file: string, from: string, to: string): void
}

function split(words: Words): readonly string[] {
  return typeof words === 'string' ? words.split(' ') : words
}

function nonEmptyLines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

/** @param directory - where the stack file is */
export function commandLine(fixture: DaemonFixture, directory: string): CommandLine {
  const beside = (program: string, words: readonly string[]): [string, string[]] => [
    'nsenter',
    [`--net=${fixture.netns}`, program, ...words],
  ]
  const env = {
    TSSTACK_RUN_DIR: fixture.runDir,
    TSSTACK_STATE_DIR: fixture.stateDir,
    TSSTACK_CGROUP_PARENT: fixture.cgroupParent,
  }
  const program = path.join(ROOT, 'tsstack')

  const run = async (words: Words, options: CommandOptions = {}): Promise<Outcome> => {
    const { exitCode, stdout, stderr } = await execa(...beside(program, split(words)), {
      cwd: directory,
      env: { ...env, ...options.env },
      reject: false,
      timeout: options.timeoutMs ?? COMMAND_TIMEOUT_MS,
      ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }),
    })
    return { exitCode, stdout, stderr }
  }
  const ok = async (words: Words, options?: CommandOptions): Promise<string> => {
    const { exitCode, stdout, stderr } = await run(words, options)
    if (exitCode === 0) return stdout
    throw new Error(
      `exit code ${String(exitCode)} of: tsstack ${split(words).join(' ')}\n${stdout}\n${stderr}`,
    )
  }

  return {
    directory,
    run,
    ok,
    start(words) {
      const child = execa(...beside(program, split(words)), {
        cwd: directory,
        env,
        reject: false,
        stdin: 'ignore',
        all: true,
      })
      let output = ''
      child.all.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
      return {
        output: () => output,
        untilOutput: async (text) => {
          await eventually(`"${text}" in the output of tsstack ${split(words).join(' ')}`, () =>
            output.includes(text),
          ).catch((error: unknown) => {
            throw new Error(`${String(error)}; it is:\n${output}`)
          })
        },
        signal(name) {
          child.kill(name)
        },
        exitCode: child.then(({ exitCode }) => exitCode),
      }
    },
    async curl(...args) {
      const flags = ['--silent', '--show-error', '--fail-with-body', '--max-time', '10']
      const { stdout } = await execa(...beside('curl', [...flags, ...args]))
      return stdout
    },
    async ids(service) {
      const words = [
        'ps',
        '--all',
        '--quiet',
        '--no-trunc',
        ...(service === undefined ? [] : [service]),
      ]
      return nonEmptyLines(await ok(words))
    },
    edit(file, from, to) {
      const target = path.join(directory, file)
      const text = readFileSync(target, 'utf8')
      if (!text.includes(from)) throw new Error(`${file} does not have: ${from}`)
      writeFileSync(target, text.replace(from, to))
    },
  }
}

/** A new directory for a test, with these files in it: `./tsstack` typed there. */
export function newProject(
  fixture: DaemonFixture,
  name: string,
  files: Readonly<Record<string, string>> = {},
): CommandLine {
  const directory = path.join(fixture.scratch, name)
  mkdirSync(directory)
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(directory, file)), { recursive: true })
    writeFileSync(path.join(directory, file), text)
  }
  return commandLine(fixture, directory)
}

/** A copy of an example, which a test may edit. @returns its directory */
export function copyExample(name: string, fixture: DaemonFixture): string {
  const copy = path.join(fixture.scratch, name)
  cpSync(path.join(ROOT, 'examples', name), copy, { recursive: true })
  return copy
}

/**
 * Does something with a copy of an example, then types `down -v`, after which a user must find nothing left. The fixture
 * looks more closely when it closes.
 */
export async function tryExample(
  name: string,
  daemon: DaemonFixture,
  body: (tsstack: CommandLine) => Promise<void>,
): Promise<void> {
  const tsstack = commandLine(daemon, copyExample(name, daemon))
  try {
    await body(tsstack)
  } catch (error) {
    await tsstack.run('down -v') // for the next test; the first error wins
    throw error
  }
  await tsstack.ok('down -v')
  expect(await leftOf(daemon)).toEqual([])
  await eventually('the end of the last interface', () => {
    const table = readFileSync(`/proc/${String(daemon.pid)}/net/dev`, 'utf8')
    return [...table.matchAll(/^ *(\S+):/gm)].every(([, interfaceName]) => interfaceName === 'lo')
  })
}

/** The same with a daemon for this alone. */
export async function withExample(
  name: string,
  body: (tsstack: CommandLine, daemon: DaemonFixture) => Promise<void>,
): Promise<void> {
  const daemon = await startDaemonFixture()
  try {
    await tryExample(name, daemon, (tsstack) => body(tsstack, daemon))
  } catch (error) {
    await daemon.close().catch(() => undefined)
    throw error
  }
  await daemon.close()
}

/** Debian packages, each with a file of it that shows whether it is installed. */
export type Packages = Readonly<Record<string, string>>

/** A test that needs packages: where one is missing it is skipped, and its title says so. */
export function testWith(packages: Packages, title: string, body: () => Promise<void>): void {
  const missing = Object.entries(packages).flatMap(([name, file]) => (existsSync(file) ? [] : name))
  const reason = missing.length === 0 ? '' : ` (skipped: not installed: ${missing.join(', ')})`
  test.skipIf(missing.length > 0)(`${title}${reason}`, body)
}

/** Containers, networks and volumes that the daemon knows. */
export async function leftOf({ client }: DaemonFixture): Promise<string[]> {
  const lists = [client.containers({ all: true }), client.networks(), client.volumes()]
  return (await Promise.all(lists)).flat().map(({ name }) => name)
}

/** The objects of output with one JSON object a line, or of one array. */
export function jsonOf(output: string): Readonly<Record<string, unknown>>[] {
  if (output.startsWith('[')) return JSON.parse(output) as Readonly<Record<string, unknown>>[]
  return nonEmptyLines(output).map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
}
