/** How an image came to be, as its configuration tells it. */
import type { HistoryStep, Image } from '../engine/images/image.ts'
import type { Context } from './context.ts'

/** Of an image in the store. */
export function originOf(
  context: Pick<Context, 'images'>,
  image: Image,
): { readonly history: readonly HistoryStep[]; readonly author: string | undefined } {
  const config = context.images.archives.config(image.id) as {
    readonly author?: unknown
    readonly history?: unknown
  }
  const steps = Array.isArray(config.history) ? (config.history as unknown[]) : []
  const text = (value: unknown): string | undefined =>
    typeof value === 'string' ? value : undefined
  const history = steps.map((step): HistoryStep => {
    const fields = (typeof step === 'object' && step !== null ? step : {}) as Record<
      string,
      unknown
    >
    const [created, createdBy, comment] = ['created', 'created_by', 'comment'].map((name) =>
      text(fields[name]),
    )
    return {
      ...(created === undefined ? {} : { created }),
      ...(createdBy === undefined ? {} : { createdBy }),
      ...(comment === undefined ? {} : { comment }),
      ...(fields['empty_layer'] === true ? { isEmpty: true } : {}),
    }
  })
  return { history, author: text(config.author) }
}
