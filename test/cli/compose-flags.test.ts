/** No flag of Docker Compose is unknown, and none is accepted that nothing reads. */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { parseArgs, type Flag } from '../../src/cli/args.ts'
import { COMMANDS } from '../../src/cli/command-table.ts'
import { GLOBAL_FLAGS } from '../../src/cli/global-options.ts'
import { REFUSED_COMMANDS } from '../../src/cli/refused-commands.ts'
import { COMPOSE_FLAGS, COMPOSE_GLOBALS } from './compose-flags.ts'

const CLI = path.join(import.meta.dirname, '../../src/cli')

async function flagsOf(name: string): Promise<readonly Flag[]> {
  const flags = (await COMMANDS[name]?.load())?.flags ?? []
  const own = new Set(flags.map((flag) => flag.name))
  return [...flags, ...GLOBAL_FLAGS.filter((flag) => !own.has(flag.name))]
}

/** Spelled like `-s/--signal`. @returns undefined when there is no such flag */
function find(flags: readonly Flag[], spelled: string): Flag | undefined {
  const [, short, name = ''] = /^(?:-(\w)\/)?--(.+)$/.exec(spelled) ?? []
  return flags.find(
    (flag) =>
      (flag.name === name || flag.aliases?.includes(name)) &&
      (short === undefined || flag.short === short),
  )
}

function words(text: string): readonly string[] {
  return text.split(' ').filter((word) => word !== '')
}

test('each command of Docker Compose is there, or refused with a reason', () => {
  const known = [...Object.keys(COMMANDS), ...REFUSED_COMMANDS]
  expect(Object.keys(COMPOSE_FLAGS).filter((name) => !known.includes(name))).toEqual([])
  expect(REFUSED_COMMANDS.filter((name) => Object.hasOwn(COMMANDS, name))).toEqual([])
})

test.each(Object.entries(COMPOSE_FLAGS))(
  'each flag of "docker compose %s" is known',
  async (name, text) => {
    if (REFUSED_COMMANDS.includes(name)) return
    const flags = await flagsOf(name)
    const unknown = words(text).filter((spelled) => find(flags, spelled) === undefined)
    expect(unknown).toEqual([])
  },
)

test('each global flag is known', () => {
  const unknown = words(COMPOSE_GLOBALS).filter(
    (spelled) => find(GLOBAL_FLAGS, spelled) === undefined,
  )
  expect(unknown).toEqual([])
})

/** The file of each command, as the table has it. */
const FILES = new Map(
  [
    ...readFileSync(path.join(CLI, 'command-table.ts'), 'utf8').matchAll(
      /^ {2}'?(\w+)'?: \{.*?import\('\.\/(commands\/[\w-]+\.ts)'\)/gms,
    ),
  ].map(([, name = '', file = '']) => [name, path.join(CLI, file)]),
)

/** A file of the command line, and all of its own that it imports. */
function sourcesFrom(file: string, seen = new Set<string>()): ReadonlySet<string> {
  if (seen.has(file) || !existsSync(file)) return seen
  seen.add(file)
  for (const [, imported = ''] of readFileSync(file, 'utf8').matchAll(
    /(?:from |import\()'(\.[^']+)'/g,
  )) {
    const target = path.resolve(path.dirname(file), imported)
    if (target.startsWith(CLI)) sourcesFrom(target, seen)
  }
  return seen
}

test.each(Object.keys(COMMANDS))('each flag of "tsstack %s" is read by its code', async (name) => {
  const own = (await COMMANDS[name]?.load())?.flags ?? []
  const text = [...sourcesFrom(FILES.get(name) ?? '')]
    .map((file) => readFileSync(file, 'utf8').replaceAll(/\bname: '[^']+'/g, ''))
    .join('\n')
  expect(text).not.toBe('')
  const unread = own
    .filter((flag) => flag.effect === undefined)
    .filter((flag) => !text.includes(`'${flag.name}'`) && !text.includes(` ${flag.name}: (`))
  expect(unread.map((flag) => flag.name)).toEqual([])
})

test.each(Object.keys(COMMANDS))('a flag that "tsstack %s" refuses says why', async (name) => {
  const own = (await COMMANDS[name]?.load())?.flags ?? []
  for (const flag of own.filter(({ effect }) => effect === 'refused')) {
    const grammar = { flags: own, globals: GLOBAL_FLAGS, passthrough: false }
    const value = flag.kind === 'bool' ? '' : '=1'
    expect(() => parseArgs(grammar, [`--${flag.name}${value}`])).toThrow(
      `Cannot use --${flag.name}: ${flag.help}`,
    )
    if (flag.kind === 'bool')
      expect(parseArgs(grammar, [`--${flag.name}=false`]).flags.bool(flag.name)).toBe(false)
  }
})
