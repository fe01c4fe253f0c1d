/** The instructions that change nothing but the configuration of the image. */
import type { ImageConfig } from '../engine/images/image.ts'
import { parseSignal } from '../engine/signals.ts'
import { tryParseDurationNs } from '../spec/duration.ts'
import type { HealthcheckInstruction, Instruction } from './dockerfile/instruction.ts'
import { dockerfileError, type Place } from './dockerfile/place.ts'
import { splitWords, type Escape } from './dockerfile/words.ts'
import { change, commandWords, healthcheckOf, type StageState } from './stage-state.ts'

/** What a step needs of its stage to read an instruction. */
export interface StepScope {
  readonly state: StageState
  readonly escape: Escape
  /** Expands variables, quotes and escapes. */
  readonly expand: (word: string, place: Place) => string
}

function pairsOf(
  instruction: Instruction & { readonly kind: 'env' | 'label' },
  { expand }: StepScope,
): [string, string][] {
  const { pairs, place } = instruction
  // All of one instruction see the variables as they were before it.
  return pairs.map(([name, value]) => [expand(name, place), expand(value, place)])
}

/** Ports of one word: `80`, `80/udp`, `8000-8010/tcp`; of `address:port:port` the container's. */
function portsOf(written: string, place: Place): string[] {
  const word = written.slice(written.lastIndexOf(':') + 1)
  const [, from = '', to = from, protocol = 'tcp'] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(word) ?? []
  const [first, last] = [Number(from), Number(to)]
  if (from === '' || first > last || last > 65_535)
    throw dockerfileError(place, `"${written}" is no port`, 'Write 80, 80/udp or 8000-8010')
  return Array.from(
    { length: last - first + 1 },
    (_, index) => `${first + index}/${protocol.toLowerCase()}`,
  )
}

const MIN_NANOS = 1e6

function durationsOf({ options }: HealthcheckInstruction, place: Place): Record<string, number> {
  const names = { interval: 'interval', timeout: 'timeout', 'start-period': 'startPeriod' }
  const all: Readonly<Record<string, string>> = { ...names, 'start-interval': 'startInterval' }
  const timing: Record<string, number> = {}
  for (const [flag, field] of Object.entries(all)) {
    const value = options[flag]
    if (value === undefined) continue
    const nanos = tryParseDurationNs(value)
    if (nanos === undefined || nanos < MIN_NANOS)
      throw dockerfileError(
        place,
        `"--${flag}=${value}" is no duration of a millisecond or more`,
        'Write 30s or 1m30s',
      )
    timing[field] = nanos
  }
  const { retries } = options
  if (retries !== undefined && !/^\d{1,9}$/.test(retries))
    throw dockerfileError(place, `"--retries=${retries}" is no count`)
  return { ...timing, ...(retries === undefined ? {} : { retries: Number(retries) }) }
}

function sorted(values: Iterable<string>): string[] {
  return [...new Set(values)].sort()
}

function expandAll(words: readonly string[], place: Place, { expand }: StepScope): string[] {
  return words.map((word) => expand(word, place))
}

/** A word may expand to several. */
function exposedPorts(
  { words, place }: { readonly words: readonly string[]; readonly place: Place },
  scope: StepScope,
): string[] {
  return expandAll(words, place, scope)
    .flatMap((word) => splitWords(word, scope.escape))
    .flatMap((word) => portsOf(word, place))
}

function signalOf(value: string, place: Place): string {
  try {
    parseSignal(value)
    return value
  } catch {
    throw dockerfileError(place, `"${value}" is no signal`)
  }
}

/** A new entrypoint discards the command of the base image, unless the stage has set one. */
function withEntrypoint(state: StageState, words: readonly string[]): Partial<ImageConfig> {
  if (state.ownCommand) return { entrypoint: words }
  const { cmd, ...rest } = state.config
  state.config = rest
  return { entrypoint: words }
}

/** Does nothing for an instruction that is more than that. */
export function applyMetadata(instruction: Instruction, scope: StepScope): void {
  const { state, expand } = scope
  const { config } = state
  const { place } = instruction
  switch (instruction.kind) {
    case 'env':
      change(state, { env: { ...config.env, ...Object.fromEntries(pairsOf(instruction, scope)) } })
      break
    case 'label':
      change(state, {
        labels: { ...config.labels, ...Object.fromEntries(pairsOf(instruction, scope)) },
      })
      break
    case 'user':
      change(state, { user: expand(instruction.value, place) })
      break
    case 'stopsignal':
      change(state, { stopSignal: signalOf(expand(instruction.value, place), place) })
      break
    case 'maintainer':
      state.author = instruction.value
      break
    case 'cmd':
      change(state, { cmd: commandWords(instruction.command, config) })
      state.ownCommand = true
      break
    case 'entrypoint':
      change(state, withEntrypoint(state, commandWords(instruction.command, config)))
      break
    case 'expose':
      change(state, {
        exposedPorts: sorted([...config.exposedPorts, ...exposedPorts(instruction, scope)]),
      })
      break
    case 'volume':
      change(state, {
        volumes: sorted([...config.volumes, ...expandAll(instruction.words, place, scope)]),
      })
      break
    case 'shell':
      change(state, { shell: instruction.words })
      break
    case 'healthcheck':
      change(state, {
        healthcheck: healthcheckOf(instruction.command, durationsOf(instruction, place)),
      })
      break
    case 'onbuild':
      change(state, { onBuild: [...(config.onBuild ?? []), instruction.trigger] })
      break
    case 'from':
    case 'arg':
    case 'run':
    case 'copy':
    case 'workdir':
      break
  }
}
