/** What a stage is while it is built: layers, configuration, variables, history; and what instructions change of it. */
import type {
  Digest,
  HistoryStep,
  Image,
  ImageConfig,
  ImageHealthcheck,
} from '../engine/images/image.ts'
import type { Command } from './dockerfile/instruction.ts'

export interface StageState {
  layers: Digest[]
  config: ImageConfig
  /** ARG of the stage, expanded. */
  args: Record<string, string>
  history: HistoryStep[]
  author: string | undefined
  /** When its newest layer was made. RFC 3339. */
  created: string
  /** Images that its layers come from. */
  bases: Image[]
  /** The stage has a CMD of its own. */
  ownCommand: boolean
}

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const EPOCH = '1970-01-01T00:00:00Z'

/** FROM scratch. */
export function emptyState(): StageState {
  const config = { env: { PATH: DEFAULT_PATH }, exposedPorts: [], volumes: [], labels: {} }
  return {
    layers: [],
    config,
    args: {},
    history: [],
    author: undefined,
    created: EPOCH,
    bases: [],
    ownCommand: false,
  }
}

/** FROM an earlier stage; its ARGs do not come along. */
export function stateFromStage(state: StageState): StageState {
  return {
    ...state,
    layers: [...state.layers],
    args: {},
    history: [...state.history],
    ownCommand: false,
  }
}

/** A step for each layer, also of an image that does not tell: what follows must not be taken for its layers. */
function completeHistory(
  { layers, created }: Image,
  history: readonly HistoryStep[],
): HistoryStep[] {
  const told = history.filter(({ isEmpty }) => isEmpty !== true).length
  if (told === layers.length) return [...history]
  return layers.map(() => ({ created, comment: 'layer of the base image' }))
}

/** FROM an image. */
export function stateFromImage(
  image: Image,
  origin: { readonly history: readonly HistoryStep[]; readonly author: string | undefined },
): StageState {
  return {
    layers: [...image.layers],
    config: { ...image.config, env: { PATH: DEFAULT_PATH, ...image.config.env } },
    args: {},
    history: completeHistory(image, origin.history),
    author: origin.author,
    created: image.created,
    bases: [image],
    ownCommand: false,
  }
}

export function change(state: StageState, fields: Partial<ImageConfig>): void {
  state.config = { ...state.config, ...fields }
}

/** The words that a command becomes in the configuration. */
export function commandWords(command: Command, { shell }: ImageConfig): readonly string[] {
  if (command.form === 'exec') return command.words
  return [...(shell ?? ['/bin/sh', '-c']), command.line]
}

/** Durations in nanoseconds. */
export function healthcheckOf(
  command: Command | undefined,
  timing: Omit<ImageHealthcheck, 'test'>,
): ImageHealthcheck {
  if (command === undefined) return { test: ['NONE'] }
  if (command.form === 'exec') return { test: ['CMD', ...command.words], ...timing }
  return { test: ['CMD-SHELL', command.line], ...timing }
}
