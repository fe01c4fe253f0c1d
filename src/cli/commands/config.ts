import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { TsstackError } from '../../errors.ts'
import { canonicalJson, sha256 } from '../../planner/config-hash.ts'
import type { LoadOptions } from '../../spec/load-options.ts'
import type { Service, Stack } from '../../spec/stack.ts'
import type { Command, CommandContext } from '../command.ts'
import { checkServices } from '../select-containers.ts'
import { loadSources, withSources } from '../../sources/load-sources.ts'
import { loadSource, projectEnvironment, toSourceOptions } from '../stack-source.ts'
import { formatTable } from '../table.ts'

/** The flags that leave phases of loading out. */
function readPhases({ flags, positional }: CommandContext): Partial<LoadOptions> {
  const off = (name: string, key: keyof LoadOptions): Partial<LoadOptions> =>
    flags.bool(name) ? { [key]: false } : {}
  return {
    ...off('no-interpolate', 'interpolate'),
    ...off('no-normalize', 'normalize'),
    ...off('no-path-resolution', 'resolvePaths'),
    ...off('no-consistency', 'consistency'),
    ...off('no-env-resolution', 'resolveEnvironment'),
    ...(positional.length > 0 ? { services: positional } : {}),
  }
}

function lines(items: readonly string[]): string {
  return items.map((item) => `${item}\n`).join('')
}

/** The name that Docker Compose gives to what it builds. */
function imageOf(stack: Stack, [name, service]: readonly [string, Service]): string {
  return service.image ?? `${stack.name}-${name}`
}

/** A hash of each service that changes when the service does. */
function formatHashes(stack: Stack, wanted: string): string {
  const names = wanted === '*' ? Object.keys(stack.services) : wanted.split(',')
  checkServices(names, Object.keys(stack.services))
  return lines(
    names.toSorted().map((name) => `${name} ${sha256(canonicalJson(stack.services[name]))}`),
  )
}

async function formatVariables(context: CommandContext): Promise<string> {
  const { stackVariables } = await import('../../spec/variables.ts')
  const found = await withSources(toSourceOptions(context), stackVariables)
  const variables = Object.values(found)
  if (context.flags.text('format') === 'json') {
    const byName = variables.map((variable) => [
      variable.name,
      {
        Name: variable.name,
        DefaultValue: variable.default,
        PresenceValue: variable.presence,
        Required: variable.required,
      },
    ])
    return `${JSON.stringify(Object.fromEntries(byName))}\n`
  }
  return formatTable(
    ['NAME', 'REQUIRED', 'DEFAULT VALUE', 'ALTERNATE VALUE'],
    variables.map((variable) => [
      variable.name,
      String(variable.required),
      variable.default,
      variable.presence,
    ]),
  )
}

async function formatEnvironment(context: CommandContext): Promise<string> {
  const environment = await projectEnvironment(context)
  return lines([...environment].map(([name, value]) => `${name}=${value}`).toSorted())
}

/** Profiles of all services, those that are not active included. */
async function formatProfiles(context: CommandContext): Promise<string> {
  const { stack } = await loadSource(context, { ...readPhases(context), profiles: ['*'] })
  const profiles = Object.values(stack.services).flatMap((service) => service.profiles ?? [])
  return lines([...new Set(profiles)].toSorted())
}

const LISTS: Readonly<Record<string, (stack: Stack) => string>> = {
  services: (stack) => lines(Object.keys(stack.services)),
  volumes: (stack) => lines(Object.keys(stack.volumes)),
  networks: (stack) => lines(Object.keys(stack.networks)),
  models: (stack) => lines(Object.keys((stack as { readonly models?: object }).models ?? {})),
  images: (stack) => lines(Object.entries(stack.services).map((pair) => imageOf(stack, pair))),
}

async function pinned(stack: Stack, { env }: CommandContext): Promise<Stack> {
  const { pinImages } = await import('../image-digests.ts')
  return pinImages(stack, env)
}

async function render(context: CommandContext): Promise<string> {
  const { flags } = context
  if (flags.bool('variables')) return formatVariables(context)
  if (flags.bool('environment')) return formatEnvironment(context)
  if (flags.bool('profiles')) return formatProfiles(context)
  const { stack: loaded } = await loadSource(context, readPhases(context))
  const isLock = flags.bool('lock-image-digests')
  const stack =
    isLock || flags.bool('resolve-image-digests') ? await pinned(loaded, context) : loaded
  const list = Object.keys(LISTS).find((name) => flags.bool(name))
  if (list !== undefined) return LISTS[list]?.(stack) ?? ''
  const hash = flags.text('hash')
  if (hash !== undefined) return formatHashes(stack, hash)
  if (flags.bool('quiet')) return '' // writing it takes longer than checking it
  const { formatConfig } = await import('../../spec/config-output.ts')
  const format = flags.text('format') === 'json' ? 'json' : 'yaml'
  const shown = isLock ? (await import('../image-digests.ts')).onlyImages(stack) : stack
  return formatConfig(shown, { format, escape: !flags.bool('no-interpolate') })
}

async function checkForMachines(context: CommandContext): Promise<number> {
  const { reportCheck } = await import('../check-report.ts')
  const options = { ...toSourceOptions(context), ...readPhases(context) }
  const { text, exitCode } = await reportCheck(() => loadSources(options))
  context.output.write(text)
  return exitCode
}

async function run(context: CommandContext): Promise<number> {
  const { flags, output, cwd } = context
  if (flags.bool('quiet') && flags.text('format') === 'json') return checkForMachines(context)
  const text = await render(context)
  if (flags.bool('quiet')) return 0
  const file = flags.text('output')
  if (file === undefined) output.write(text)
  else {
    try {
      writeFileSync(resolve(cwd, file), text)
    } catch (error) {
      throw new TsstackError('INVALID_ARGUMENT', `Cannot write "${file}"`, { cause: error })
    }
  }
  return 0
}

export const command: Command = {
  usage: '[OPTIONS] [SERVICE...]',
  summary: 'Check the stack file and print it in canonical form',
  details:
    'All files merged, variables replaced, short forms written out: what "up" works with. With SERVICE, only these ' +
    'services and what they depend on.',
  flags: [
    {
      name: 'format',
      kind: 'text',
      value: 'FORMAT',
      choices: ['yaml', 'json', 'table'],
      help: 'yaml (default) or json; with -q, json prints what is wrong as JSON',
    },
    { name: 'quiet', short: 'q', kind: 'bool', help: 'Only check, print nothing' },
    {
      name: 'output',
      short: 'o',
      kind: 'text',
      value: 'FILE',
      help: 'Write to a file instead of standard output',
    },
    { name: 'services', kind: 'bool', help: 'Only names of services' },
    { name: 'volumes', kind: 'bool', help: 'Only names of volumes' },
    { name: 'networks', kind: 'bool', help: 'Only names of networks' },
    { name: 'models', kind: 'bool', help: 'Only names of models' },
    { name: 'images', kind: 'bool', help: 'Only names of images' },
    { name: 'profiles', kind: 'bool', help: 'Only names of profiles' },
    { name: 'variables', kind: 'bool', help: 'The variables that the stack files name' },
    { name: 'environment', kind: 'bool', help: 'The variables that they are replaced from' },
    {
      name: 'hash',
      kind: 'text',
      value: 'SERVICES',
      help: 'A hash of these services, "*" for all',
    },
    {
      name: 'resolve-image-digests',
      kind: 'bool',
      help: 'Pin each image to the digest that its registry has for it now',
    },
    {
      name: 'lock-image-digests',
      kind: 'bool',
      help: 'Only the pinned images: a file to merge over this one',
    },
    { name: 'no-interpolate', kind: 'bool', help: 'Leave variables as they are written' },
    { name: 'no-normalize', kind: 'bool', help: 'Add no default network and no names' },
    { name: 'no-path-resolution', kind: 'bool', help: 'Leave relative paths relative' },
    {
      name: 'no-consistency',
      kind: 'bool',
      help: 'Allow references to what is not there',
    },
    { name: 'no-env-resolution', kind: 'bool', help: 'Do not read env_file' },
  ],
  examples: [
    ['tsstack config -q', 'Only check; exit code 1 and the errors when it is wrong'],
    ['tsstack config -q --format json', 'The same for an editor: each error with its place'],
    ['tsstack -f compose.yaml -f prod.yaml config web', 'What "web" becomes of two files'],
  ],
  run,
}
