import type { ProgressEvent } from '../api/types.ts'
import type { Context } from '../reconciler/context.ts'

/** Tells who changes a stack that follows git that this does not last. */
export function warnIfFollowed(
  { followed }: Pick<Context, 'followed'>,
  stack: string,
  tell: (event: ProgressEvent) => void,
): void {
  const source = followed.get(stack)
  if (source === undefined) return
  const message = `stack "${stack}" follows git: what is done here is undone at the next look of source "${source}", unless "tsstack gitops suspend ${source}"`
  tell({ type: 'warning', message })
}
