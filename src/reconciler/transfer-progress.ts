/** Pulls and pushes as progress: one operation for the image, one for each of its layers. */
import type { ProgressEvent } from '../api/types.ts'
import { toTsstackError } from '../errors.ts'
import type { LayerEvent } from '../engine/images/pull-image.ts'

export type OperationEvent = Extract<ProgressEvent, { type: 'operation' }>

type Tell = (event: OperationEvent) => void

export interface TransferProgress {
  readonly onLayer: (event: LayerEvent) => void
  /** Of the whole: what is waited for. */
  readonly onNotice: (text: string) => void
  readonly done: (detail?: string) => void
  readonly failed: (error: unknown) => void
}

const SHORT_DIGEST = 12
/** Between two lines on one layer. */
const MIN_INTERVAL_MS = 100

const WORDS: Readonly<Record<LayerEvent['state'], string>> = {
  waiting: 'Waiting',
  downloading: 'Downloading',
  retrying: 'Retrying',
  extracting: 'Extracting',
  done: 'Pull complete',
  present: 'Already exists',
  failed: 'Failed',
  compressing: 'Compressing',
  uploading: 'Pushing',
  pushed: 'Pushed',
  mounted: 'Mounted',
}
const ENDS = new Set<LayerEvent['state']>(['done', 'present', 'pushed', 'mounted'])

/** Numbers operations of one stream. */
export function createNumbering(): () => number {
  let next = 0
  return () => next++
}

export function transferProgress(
  tell: Tell,
  {
    name,
    number,
    words,
  }: {
    readonly name: string
    readonly number: () => number
    readonly words: readonly [doing: string, done: string]
  },
): TransferProgress {
  const id = number()
  const startedAt = performance.now()
  const layers = new Map<string, { readonly id: number; toldAt: number; state: string }>()
  const image = { type: 'operation', id, resource: 'image', name } as const
  tell({ ...image, action: words[0], status: 'started' })

  function onLayer({ digest, state, detail, current, total }: LayerEvent): void {
    const known = layers.get(digest)
    const layer = known ?? { id: number(), toldAt: 0, state: '' }
    layers.set(digest, layer)
    const now = performance.now()
    if (layer.state === state && now - layer.toldAt < MIN_INTERVAL_MS && current !== total) return
    layer.toldAt = now
    layer.state = state
    const end = ENDS.has(state) ? 'done' : state === 'failed' ? 'failed' : undefined
    tell({
      ...{ type: 'operation', id: layer.id, resource: 'layer', parent: name },
      name: digest.slice('sha256:'.length).slice(0, SHORT_DIGEST),
      action: WORDS[state],
      status: end ?? (known === undefined ? 'started' : 'progress'),
      ...(detail === undefined ? {} : { detail }),
      ...(current === undefined ? {} : { current }),
      ...(total === undefined ? {} : { total }),
    })
  }

  const elapsed = (): { elapsedMs: number } => ({ elapsedMs: performance.now() - startedAt })
  return {
    onLayer,
    onNotice(text) {
      tell({ ...image, action: words[0], status: 'progress', detail: text })
    },
    done(detail) {
      const more = detail === undefined ? {} : { detail }
      tell({ ...image, action: words[1], status: 'done', ...more, ...elapsed() })
    },
    failed(error) {
      const detail = toTsstackError(error).message
      tell({ ...image, action: words[0], status: 'failed', detail, ...elapsed() })
    },
  }
}
