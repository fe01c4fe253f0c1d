/** `# check=skip=Rule,Other;error=true`, or the build argument BUILDKIT_DOCKERFILE_CHECK, which wins. */
import type { Directive } from '../dockerfile/directives.ts'
import { dockerfileError } from '../dockerfile/place.ts'

export interface CheckPolicy {
  readonly isSkipped: (rule: string) => boolean
  /** A finding ends the build. */
  readonly isError: boolean
}

/** @throws {INVALID_ARGUMENT} with file, line and column */
export function readCheckPolicy(
  written: Directive | undefined,
  argument: string | undefined,
  file: string,
): CheckPolicy {
  const { value, place } =
    argument === undefined
      ? (written ?? { value: '', place: { file, line: 1, column: 1 } })
      : { value: argument, place: { file: 'BUILDKIT_DOCKERFILE_CHECK', line: 1, column: 1 } }
  const skipped = new Set<string>()
  let isError = false
  for (const option of value.split(';').filter((part) => part.trim() !== '')) {
    const [name = '', text = ''] = option.split(/=(.*)/s).map((part) => part.trim())
    if (name === 'skip') for (const rule of text.split(',')) skipped.add(rule.trim().toLowerCase())
    else if (name === 'error' && /^(?:true|1|false|0)$/i.test(text))
      isError = /^(?:true|1)$/i.test(text)
    else if (name !== 'experimental')
      throw dockerfileError(
        place,
        `"${option.trim()}" is no option of checks`,
        'Write skip=Rule,Other;error=true',
      )
  }
  return {
    isSkipped: (rule) => skipped.has('all') || skipped.has(rule.toLowerCase()),
    isError,
  }
}
